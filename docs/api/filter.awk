# SPDX-License-Identifier: MIT
# The headers' comments as Doxygen wants them: `//` before a declaration becomes `///`, behind one `///<`; the comment
# at a file's top describes the file; lines set in from the others (formulas, tables) stay as they are written.
function escaped(text) {
    gsub(/[\\@#<>&]/, "\\\\&", text)
    sub(/^ \+ /, " \\+ ", text) # a sum that goes on, no list
    return text
}

# One line of a comment; `mark` is what begins it. Markdown takes lines set in by four for text as it is.
function say(margin, mark, text) {
    if (text ~ /^  /) {
        if (!set_in) print margin mark
        print margin mark "    " text
    } else {
        if (set_in && text != "") print margin mark
        print margin mark escaped(text)
    }
    set_in = text ~ /^  /
}

FNR == 1 { top = 1 }
/^\/\/ SPDX/ { print; next }
{
    comment = match($0, /^ *\/\//)
    column = RLENGTH
    if (comment) {
        margin = substr($0, 1, column - 2)
        text = substr($0, column + 1)
        # What goes on below a comment behind a declaration.
        if (column == behind) { say(margin, "///<", text); next }
        behind = 0
        if (top == 1) { print "/// @file"; print "///"; top = 2 }
        say(margin, "///", text)
        next
    }
    set_in = 0
    if (top == 2) top = 0
    behind = 0
    # Doxygen takes no comment behind a type.
    if ($0 ~ /^(enum|struct|class) / && match($0, /  +\/\/ /)) {
        say("", "///", " " substr($0, RSTART + RLENGTH))
        print substr($0, 1, RSTART - 1)
        next
    }
    if (match($0, /[;,{})\]a-z0-9]  +\/\/ /) && $0 !~ /\/\/ namespace/) {
        at = RSTART + RLENGTH
        behind = at - 2
        print substr($0, 1, at - 4) "///<" escaped(substr($0, at - 1))
        next
    }
    print
}
