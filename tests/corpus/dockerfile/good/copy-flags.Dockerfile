FROM a
COPY --from=0 --chown=1000:1000 --chmod=u+x,go-w --link --parents --exclude=*.md --exclude="a b" src/*.go ./doc dest/
COPY --link=false --parents=TRUE a b
COPY ["a b", "c d"]
ADD --checksum=sha256:abc --keep-git-dir=true --unpack=false --link --exclude=x --chown=a --chmod=600 https://x/y.tar /z
ADD a b
