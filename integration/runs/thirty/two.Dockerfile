ARG BASE
FROM ${BASE}/busybox AS common
COPY files/b /common
RUN cat /common > /again

FROM common AS web
RUN echo web > /what

FROM common AS worker
RUN echo worker > /what
