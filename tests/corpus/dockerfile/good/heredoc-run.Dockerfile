FROM a
RUN <<EOF
# kept
echo "$x" \

EOF
RUN <<-EOF
		one
	two
	EOF
RUN <<"EOF" cat
$x
EOF
RUN cat 3<<A <<'B C' > /f && x
a
A
b
B C
