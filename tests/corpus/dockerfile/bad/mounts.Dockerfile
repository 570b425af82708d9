FROM a
RUN --mount=type=volume,target=/x a
RUN --mount=type=bind,size=1m,target=/x a
RUN --mount=type=cache,target=/x,sharing=lock a
RUN --mount=type=secret a
RUN --mount=type=secret,id=a,source=b a
RUN --mount=type=cache,targt=/x a
RUN --mount=type=tmpfs,target=/x,size=big a
RUN --mount=type=cache,mode=9 a
RUN --mount=from=$STAGE a
RUN --mount=target a
RUN --mount=type=cache,readonly=perhaps a
RUN --mount= a
RUN --device=a,b x
