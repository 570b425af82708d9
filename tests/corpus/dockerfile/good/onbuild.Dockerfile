FROM a
ONBUILD ADD . /app
onbuild RUN --mount=type=cache,target=/x \
  make
ONBUILD ENV A=$B
