FROM a
RUN --mount=type=cache,target=/c,sharing=locked,uid=0,mode=0755 --mount=type=bind,from=b,src=/x,dst=/y,rw=true \
    --mount=type=secret,id=t,env=TOKEN,required --mount=type=ssh --mount=type=tmpfs,target=/t,size=64m \
    --mount=target=/ctx,ro --network=none --security=insecure --device=vendor.com/gpu=all,required make
RUN --mount=type=$T,size=$S,target=/x y
RUN -- --not-a-flag
