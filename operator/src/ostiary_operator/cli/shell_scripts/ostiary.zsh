#compdef ostiary
# zsh completion for ostiary, as `ostiary completion zsh` prints it.
#
# In this shell:    source <(ostiary completion zsh)     (after `autoload -U compinit; compinit`)
# In every shell:   ostiary completion zsh > "${fpath[1]}/_ostiary"

compdef _ostiary ostiary

_ostiary() {
    local current=${(Q)words[CURRENT]} program=${words[1]/#\~\//$HOME/} line word directive
    local -a lines candidates options
    lines=("${(@f)$("$program" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    directive=${lines[-1]#:}
    [[ $directive == <-> ]] || return 1
    for line in "${(@)lines[1,-2]}"; do
        word=${line%%$'\t'*}
        candidates+=("${word//:/\\:}${${line#"$word"}/$'\t'/:}")
    done
    [[ $current == -*=* ]] && compset -P '-*='
    ((directive & 2)) && options=(-S '')
    if (($#candidates)); then
        _describe -t values 'ostiary' candidates $options
    elif ((directive & 16)); then
        _files -/
    elif ((!(directive & 4))); then
        _files
    fi
}

# As a file of $fpath this is the body of the function, which completes at once.
if [[ ${funcstack[1]} == _ostiary ]]; then
    _ostiary
fi
