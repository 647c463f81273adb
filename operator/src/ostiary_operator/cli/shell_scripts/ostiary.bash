# bash completion for ostiary, as `ostiary completion bash` prints it.
#
# In this shell:    source <(ostiary completion bash)
# In every shell:   ostiary completion bash > ~/.local/share/bash-completion/completions/ostiary

_ostiary() {
    local rest=${COMP_LINE:0:COMP_POINT} trimmed i
    local -a words=() found=()
    # Bash splits words at = and :, which are part of words here: those without a blank between them are joined again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        trimmed=${rest#"${rest%%[![:space:]]*}"}
        local word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$trimmed
        if ((i > 0)) && [[ $trimmed == "$rest" && -n $rest ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        rest=${trimmed#"$word"}
    done

    local current=${words[${#words[@]} - 1]} program=${words[0]/#\~\//$HOME/} line
    while IFS= read -r line; do
        found+=("$line")
    done < <("$program" __completeNoDesc "${words[@]:1}" 2>/dev/null)
    ((${#found[@]})) || return
    local directive=${found[${#found[@]} - 1]#:}
    unset "found[${#found[@]}-1]"

    # What stands before the last = or : is not replaced, so it is not part of what is offered.
    local before= after=
    if [[ $current == -*=* ]]; then
        [[ $COMP_WORDBREAKS == *=* ]] || after=${current%%=*}=
        current=${current#*=}
    fi
    [[ $current == *:* && $COMP_WORDBREAKS == *:* ]] && before=${current%"${current##*:}"}
    COMPREPLY=()
    for line in "${found[@]}"; do
        COMPREPLY+=("$after${line#"$before"}")
    done
    type compopt >/dev/null 2>&1 || return
    ((directive & 2)) && compopt -o nospace
    ((directive & 16)) && compopt -o dirnames
    ((directive & (4 | 16))) || compopt -o default
}

complete -F _ostiary ostiary
