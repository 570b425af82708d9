FROM a
ARG one two=2 three="three words" four='$x' five=
ENV A=1 B="b c" C=d\ e "F G"=h I=
ENV legacy  the rest  "of it"
LABEL a.b.c="x" "d e"=f \
  g='h'
LABEL old style
