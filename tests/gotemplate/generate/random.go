package main

import (
	"fmt"
	"math/rand"
	"strings"
	"unicode/utf8"
)

// dice makes templates by a grammar. Most of them make sense, so that more than the first error is compared.
type dice struct {
	*rand.Rand
	depth int
	vars  []string
	loops int
}

var randomValues = map[string]string{"A": "alpha", "B": "", "C": "3", "Long": "a b\n<c> & \"d\" 'é' 漢", "n-x": "dashed"}

func randomCases(count int, source *rand.Rand) []Case {
	var cases []Case
	for len(cases) < count {
		d := &dice{Rand: source}
		text := d.list(1 + d.Intn(3))
		if d.Intn(12) == 0 {
			text = d.broken(text)
		}
		output, err := render(text, randomValues)
		// What is no UTF-8 cannot stand in JSON; and too many errors say little.
		if !utf8.ValidString(text) || err == nil && !utf8.ValidString(output) || err != nil && d.Intn(3) > 0 {
			continue
		}
		cases = append(cases, run(text, randomValues))
	}
	return cases
}

func (d *dice) one(words ...string) string { return words[d.Intn(len(words))] }

func (d *dice) broken(text string) string {
	if len(text) == 0 {
		return "{{"
	}
	at := d.Intn(len(text))
	switch d.Intn(3) {
	case 0:
		return text[:at]
	case 1:
		return text[:at] + text[at+1:]
	}
	return text[:at] + d.one("{{", "}}", "(", ")", "|", "-", ".", "\"", "$", "=", ":=", ",", "'", "`", "end", "%", " ") + text[at:]
}

func (d *dice) open() string  { return d.one("{{", "{{", "{{", "{{ ", "{{- ", "{{-\n") }
func (d *dice) close() string { return d.one("}}", "}}", "}}", " }}", " -}}", "  -}}") }

func (d *dice) list(count int) string {
	var text strings.Builder
	vars := len(d.vars)
	for range count {
		text.WriteString(d.one("", " ", "x", "\n", " y \n", "RUN echo ", "é\t"))
		text.WriteString(d.node())
	}
	d.vars = d.vars[:vars]
	text.WriteString(d.one("", "", ".", " \n"))
	return text.String()
}

func (d *dice) node() string {
	d.depth++
	defer func() { d.depth-- }()
	kind := d.Intn(12)
	if d.depth > 3 {
		kind = kind % 6
	}
	open, close := d.open(), d.close()
	switch {
	case kind < 4:
		return open + d.pipeline() + close
	case kind == 4:
		value := d.pipeline()
		name := fmt.Sprintf("$v%d", d.Intn(3))
		operator := ":="
		if len(d.vars) > 0 && d.Intn(2) == 0 {
			name, operator = d.one(d.vars...), "="
		}
		d.vars = append(d.vars, name)
		return open + name + d.one(" ", "") + operator + " " + value + close
	case kind == 5:
		if d.loops > 0 && d.Intn(2) == 0 {
			return open + d.one("break", "continue") + close
		}
		return open[:2] + "/* " + d.one("a", "}}", "{{ .A }}") + " */}}"
	case kind < 8:
		return open + "if " + d.pipeline() + close + d.list(2) + d.otherwise("if") + "{{end}}"
	case kind == 8:
		return open + "with " + d.declared("$w", d.pipeline()) + close + d.list(1) + d.otherwise("with") + "{{end}}"
	default:
		over := d.one(".", "$", "3", "(len .A)", d.value(), "(index .A 0 | printf \"%d\" | len)", "0")
		vars := len(d.vars)
		switch d.Intn(4) {
		case 0:
			over = d.declared("$r", over)
		case 1:
			d.vars = append(d.vars, "$k", "$r")
			over = "$k, $r := " + d.one(".", "$", ".", over)
		}
		d.loops++
		body := d.list(2)
		d.loops--
		d.vars = d.vars[:vars]
		return open + "range " + over + close + body + d.one("", "{{else}}"+d.list(1)) + "{{end}}"
	}
}

func (d *dice) declared(name, value string) string {
	if d.Intn(3) > 0 {
		return value
	}
	d.vars = append(d.vars, name)
	return name + " := " + value
}

func (d *dice) otherwise(keyword string) string {
	switch d.Intn(4) {
	case 0:
		return "{{else}}" + d.list(1)
	case 1:
		return "{{ else " + keyword + " " + d.pipeline() + "}}" + d.list(1) + d.one("", "{{else}}"+d.list(1))
	}
	return ""
}

func (d *dice) pipeline() string {
	text := d.command()
	for d.Intn(4) == 0 {
		text += d.one(" | ", "|") + d.one("len", "print", "printf \"%q\"", "printf \"%v\"", "html", "js", "urlquery", "not", "println",
			"eq 1", "eq \"\"", "or .A", "and .A", "index .", "printf \"%5v|\"", "printf "+d.format())
	}
	return text
}

func (d *dice) command() string {
	switch d.Intn(10) {
	case 0, 1, 2:
		return d.value()
	case 3:
		return d.one("eq", "ne", "lt", "le", "gt", "ge") + " " + d.pair()
	case 4:
		return d.one("and", "or", "print", "println", "html", "js", "urlquery") + " " + d.value() + " " + d.value()
	case 5:
		return d.one("not ", "len ", "print ", "") + d.one(d.value(), d.text())
	case 6:
		return "index " + d.one(". "+d.text(), ". .A", d.text()+" "+d.one("0", "1", "9", "-1"), ".A 1", ". \"n-x\"")
	case 7:
		return "slice " + d.one(".A", ".Long", d.text()) + d.one("", " 1", " 0 2", " 2 2", " 3 1", " 1 4")
	}
	values := ""
	for range d.Intn(4) {
		values += " " + d.value()
	}
	return "printf " + d.format() + values
}

func (d *dice) pair() string {
	switch d.Intn(4) {
	case 0:
		return d.value() + " " + d.value()
	case 1:
		return d.number() + " " + d.number()
	}
	return d.text() + " " + d.one(d.text(), ".A", ".B", ".Missing")
}

func (d *dice) text() string {
	return d.one(`""`, `"alpha"`, "`raw\\`", `"A"`, `"a\tb\"\u00e9\x41"`, `"漢字"`, ".A", ".B", ".C", ".Long", "(print .A .C)")
}

func (d *dice) number() string {
	// Small, for there are ranges over them, three deep.
	return d.one("0", "1", "-7", "12", "0xB", "0b101", "0o17", "017", "1_0", "'\\x05'", `'\n'`, "1.5", "-0.25", "1e3", "2.5e-7", "1e21",
		"123456789.0", "0x1p-2", "-9223372036854775808", "100000.0", "3.0")
}

func (d *dice) value() string {
	if len(d.vars) > 0 && d.Intn(3) == 0 {
		return d.one(d.vars...)
	}
	switch d.Intn(9) {
	case 0:
		return d.number()
	case 1:
		return d.one("true", "false", "nil", ".", "$", "(index .A 0)", "(or nil)")
	case 2:
		return d.one(".Missing", "$.A", "$.B", "(.A)", "($).C")
	case 3:
		if d.depth < 4 {
			d.depth++
			defer func() { d.depth-- }()
			return "(" + d.pipeline() + ")"
		}
	}
	return d.text()
}

// A format of mostly right verbs, flags and widths.
func (d *dice) format() string {
	var text strings.Builder
	text.WriteString(`"`)
	for range 1 + d.Intn(3) {
		text.WriteString(d.one("", "a ", "é", "%%"))
		text.WriteString("%")
		for d.Intn(3) == 0 {
			text.WriteString(d.one("#", "0", "+", "-", " "))
		}
		text.WriteString(d.one("", "", "", "", "[1]", "[2]", "[3]", "[x]", "[0]"))
		text.WriteString(d.one("", "", "", "5", "12", "1", "*", "[1]*"))
		text.WriteString(d.one("", "", "", ".2", ".0", ".", ".10", ".*", ".[2]*"))
		text.WriteString(d.one("v", "v", "s", "s", "d", "q", "x", "X", "t", "T", "f", "g", "e", "c", "U", "o", "O", "b", "G", "E", "F", "w", "z", "é", "!"))
	}
	return text.String() + `"`
}
