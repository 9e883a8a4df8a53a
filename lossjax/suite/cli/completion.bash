# Completes verbs and flags: eval "$(lossjax --completion)" in ~/.bashrc; in zsh after
# autoload -U +X bashcompinit && bashcompinit. The flags are those that --help names.
_lossjax() {
    local program=${COMP_WORDS[0]} verb=${COMP_WORDS[1]} word=${COMP_WORDS[COMP_CWORD]}
    local words="VERBS"
    if ((COMP_CWORD > 1)); then
        [[ $word == -* ]] || return 0
        words=$("$program" "$verb" --help 2>/dev/null | grep -o '^  --[A-Za-z_.]*=*')
    fi
    COMPREPLY=()
    while read -r word; do COMPREPLY+=("$word"); done \
        < <(compgen -W "$words" -- "$word")
}
complete -o default -o nospace -F _lossjax lossjax run.sh ./run.sh
