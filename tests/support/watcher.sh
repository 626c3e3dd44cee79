# Runs a server for a test process, and outlives that. Commands come as lines of quoted words on
# standard input, which is a pipe that the test process alone holds: when the process ends, in
# whatever way, so does the pipe. Then the server is ended and the folder removed.
#
#   $1  the folder    $2  the signal that ends the server, or TREE to kill it with its descendants
folder=$1
ending=$2
server=

# A handler, not '', which the server would inherit.
trap : HUP INT TERM PIPE

end_tree() {
    kill -s STOP "$1"
    for child in $(cat "/proc/$1/task/"*/children); do end_tree "$child"; done
    kill -s KILL "$1"
}

while IFS= read -r line; do
    eval "set -- $line"
    word=$1
    shift
    case $word in
    run)
        "$@" </dev/null >>"$folder/log" 2>&1
        echo "$?"
        ;;
    start)
        "$@" </dev/null >>"$folder/log" 2>&1 &
        server=$!
        echo "$server"
        ;;
    reap)
        wait "$server"
        echo "$?"
        server=
        ;;
    esac
done

if [ -n "$server" ]; then
    if [ "$ending" = TREE ]; then
        end_tree "$server"
    else
        # CONT: a test may have stopped it.
        kill -s CONT "$server"
        kill -s "$ending" "$server"
    fi
    wait "$server"
fi
rm -rf -- "$folder"
