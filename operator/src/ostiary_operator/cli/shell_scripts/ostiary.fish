# fish completion for ostiary, as `ostiary completion fish` prints it.
#
# In this shell:    ostiary completion fish | source
# In every shell:   ostiary completion fish > ~/.config/fish/completions/ostiary.fish

function __ostiary_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    set -l lines ($program __complete $words[2..-1] "$current" 2>/dev/null)
    set -q lines[1]; or return
    set -l directive (string sub -s 2 -- $lines[-1])
    set -e lines[-1]

    # What fish offers replaces the whole word, so an option's name is part of it.
    set -l option (string match -r -- '^-[^=]*=' "$current")
    for line in $lines
        echo -- "$option$line"
    end
    if not set -q lines[1]
        if test (math "bitand($directive, 16)") -ne 0
            __fish_complete_directories (string replace -r -- '^-[^=]*=' '' "$current")
        else if test (math "bitand($directive, 4)") -eq 0
            __fish_complete_path (string replace -r -- '^-[^=]*=' '' "$current")
        end
    end
end

complete -c ostiary -e
complete -c ostiary -f -a '(__ostiary_complete)'
