# Give llama-server each of these command lines, and a model that does not exist: it ends at once, for one reason or the
# other. $1: what to look for in its words. Writes a line for each: the command line, a tab, what was found.
looked_for=$1
shift
for line; do
    # shellcheck disable=SC2086 # a line is several words
    found=$(/app/llama-server --model /nowhere.gguf $line 2>&1 </dev/null | grep -m 1 -oE "$looked_for")
    printf '%s\t%s\n' "$line" "$found"
done
