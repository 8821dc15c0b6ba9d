#!/bin/sh
# Prints users.acl with the digests of the passwords in place of their names: what Redis takes as an ACL file.
#
# A password is the value of the variable, or the content of the file that the variable with _FILE at its end names. A user
# without a password is off.
set -eu

# user_state VARIABLE
user_state() {
  eval "password=\${$1-} file=\${$1_FILE-}"
  [ -z "$file" ] || password=$(cat "$file")
  if [ -z "$password" ]; then
    echo off
  else
    echo "on #$(printf %s "$password" | sha256sum | cut -c 1-64)"
  fi
}

rule=
while read -r line; do
  case $line in
  '' | '#'*) continue ;;
  'user '*'@'*'@'*)
    [ -z "$rule" ] || echo "$rule"
    rest=${line#*@}
    rule="${line%%@*}$(user_state "${rest%%@*}")${rest#*@}"
    ;;
  'user '*)
    [ -z "$rule" ] || echo "$rule"
    rule=$line
    ;;
  *) rule="$rule $line" ;;
  esac
done <"$(dirname "$0")/users.acl"
echo "$rule"
