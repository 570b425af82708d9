FROM a

RUN x \
  # comment
  y
RUN <<EOF
z
EOF
CMD ["q"]
