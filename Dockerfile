# krunner's own images, built by krunner from builds.yaml (`make image`).
#
#   slim   /kaniko alone: an interpreter that needs nothing of the root it lies in, the executor and krunner
#   debug  slim with a static busybox in /busybox and /bin/sh, for CI systems that start a shell in the container
#
# Any Debian with Python 3.11 serves as BASE: all of it that reaches the image is copied by packaging/bundle.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS bundle
COPY scripts/apt-ensure packaging/bundle /usr/local/bin/
RUN apt-ensure binutils busybox-static ca-certificates patchelf python3
COPY dist/wheels /wheels
COPY packaging/entry /entry
RUN bundle /wheels /entry /bundle

FROM scratch AS slim
COPY --from=bundle /bundle/kaniko /kaniko
ENV HOME=/root \
    USER=root \
    PATH=/usr/local/bin:/kaniko \
    SSL_CERT_DIR=/kaniko/ssl/certs \
    DOCKER_CONFIG=/kaniko/.docker \
    KRUNNER_HOME=/kaniko/store
WORKDIR /workspace
ENTRYPOINT ["/kaniko/executor"]

FROM slim AS debug
COPY --from=bundle /bundle/busybox /busybox
COPY --from=bundle /bundle/bin /bin
ENV PATH=/usr/local/bin:/kaniko:/busybox
