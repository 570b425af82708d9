ARG TAG=1 PLATFORM
ARG EMPTY=
FROM --platform=$PLATFORM registry:5000/a/b:$TAG AS base
FROM base AS other.stage-1_x
FROM scratch
