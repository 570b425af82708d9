# krunner's own images, built by krunner from builds.yaml (`make image`).
#
#   slim   /kaniko alone: an interpreter that needs nothing of the root it lies in, the executor and krunner
#   debug  slim with a static busybox in /busybox and /bin/sh, for CI systems that start a shell in the container,
#          and git for contexts and ADD
#
# Any Debian with Python 3.11 serves as BASE: all of it that reaches the image is copied by packaging/bundle.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS bundle
COPY scripts/apt-ensure packaging/bundle /usr/local/bin/
RUN apt-ensure binutils busybox-static ca-certificates git patchelf python3
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
COPY --from=bundle /bundle/git /
ENV PATH=/usr/local/bin:/kaniko:/busybox \
    GIT_EXEC_PATH=/kaniko/git-core \
    GIT_SSL_CAINFO=/kaniko/ssl/certs/ca-certificates.crt \
    GIT_SSL_CAPATH=/kaniko/ssl/certs
