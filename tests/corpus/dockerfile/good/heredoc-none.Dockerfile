FROM a
RUN echo $((1<<2)) "<<EOF" a<<EOF <<<here
RUN ["cat", "<<EOF"]
CMD cat <<EOF
ENV A=<<EOF
