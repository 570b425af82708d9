FROM a
COPY --chmod=755 <<script.sh <<-"raw" plain /dest/
#!/bin/sh
echo $HOME
script.sh
	$HOME
	raw
ADD <<EOF /etc/motd
EOF
