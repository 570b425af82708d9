# café
FROM a
RUN x \
# ÿþ
  y
