FROM a
RUN echo café
RUN <<EOF
x
  ÿ
EOF
