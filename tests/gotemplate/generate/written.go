package main

import (
	"fmt"
	"strings"
)

var (
	none  = map[string]string{}
	small = map[string]string{"A": "alpha", "B": "beta", "Empty": "", "N": "3", "Flag": "false", "n-x": "dashed", "T": "tab\there \"quoted\" <b> é 漢"}
	image = map[string]string{"BaseImage": "opensuse/leap:15.6", "Version": "v3.6.0", "ExtraPackages": "htop vim", "Model": "generic"}
)

// written are the cases that somebody thought of.
func written() []Case {
	var cases []Case
	add := func(values map[string]string, templates ...string) {
		for _, text := range templates {
			cases = append(cases, run(text, values))
		}
	}
	plainText(add)
	trims(add)
	comments(add)
	operands(add)
	control(add)
	variables(add)
	functions(add)
	comparisons(add)
	formats(add)
	mistakes(add)
	dockerfiles(add)
	return cases
}

type adder func(values map[string]string, templates ...string)

func plainText(add adder) {
	add(small, "", " ", "\n", "plain", "a { b } c", "a } } b", "}} alone", "{ {.A} }", "$A ${A} $$", "é 漢 👩‍🚀", "\r\nwindows\r\n", "# {{.A}}\n",
		"{{.A}}", "{{ .A }}", "{{.A}}{{.B}}", "<{{ .A }}|{{ .B }}>", "{{ .Missing }}", "[{{ .Missing }}]", "{{\n.A\n}}", "{{\t.A\r\n}}", "{{.}}", "{{$}}", "{{ $.A }}")
	add(none, "{{ . }}", "{{ .A }}", "[{{ .A }}][{{ $.A }}]", "{{ len . }}", "{{ printf \"%#v\" . }}")
}

func trims(add adder) {
	before := []string{"a", "a ", "a\n\t ", " ", "", "a\u00a0", "a\v"}
	after := []string{"b", " b", "\n\n b", "\r\n", "", "\u00a0b"}
	for _, open := range []string{"{{- ", "{{ ", "{{-\n"} {
		for _, close := range []string{" -}}", " }}", "\t-}}", "   -}}"} {
			for index, text := range before {
				add(small, text+open+".A"+close+after[index%len(after)])
			}
		}
	}
	add(small, "a {{-.A}}", "a {{- -}} b", "{{-1}}", "{{- 1}}", "{{ 1-}}", "{{-1 -}} x", "{{ -1 -}} x", "{{- }}", "{{ -}}", "x {{- /* c */ -}} y", "x {{-/* c */}} y", "x {{- /* c */}} y",
		"x {{/* c */ -}} y", "x {{ /* c */ -}} y", "x {{- /* c */-}} y", "a {{- .A -}}  {{- .B -}} b", "{{- .A -}}\n{{ .B }}\n", "a\n\n{{- if .A }}\n b\n{{- end }}\n\nc",
		"{{ if .A -}}  \n yes  {{- else -}} no {{- end -}} \n", "  {{- range . -}} x {{- end -}} ", "{{with .A -}} \n{{ . }} {{- end}}", "{{\"a\" -}} b", "{{\"a\"-}} b", "{{ print \"a\" \"-\" -}} }}", "{{(1) -}} x",
		"{{ .A-}}", "{{ $-}}", "{{ 3 -}}   ", "   {{- 3 }}")
}

func comments(add adder) {
	add(small, "{{/* c */}}", "a{{/* c */}}b", "a{{/*\nlong\n*/}}b", "{{/* }} */}}", "{{/* {{ .A }} */}}", "{{/**/}}", "{{/* a */ }}", "{{ /* a */}}", "{{/* a */ .A}}", "{{.A /* a */}}", "{{/* a }}",
		"{{/* a */}", "{{/*/}}", "{{/*}}*/}}", "{{/* define \"x\" */}}", "{{- /* a */ -}}", "x\n{{- /* a */ -}}\ny", "{{/* a */}}{{/* b */}}c", "{{ print 1 /* a */ }}")
}

func operands(add adder) {
	for _, word := range []string{".", "$", "true", "false", "nil", "0", "-0", "+5", "1", "-17", "1_000", "1__0", "_1", "1_", "0x1F", "0X1f", "0x_1", "0x", "0b101", "0B1", "0b2", "0o17", "0O17", "017", "08", "089",
		"0", "00", "0_7", "'a'", "'é'", "'漢'", `'\n'`, `'\''`, `'"'`, `'\x41'`, `'\101'`, `'\u00e9'`, `'\U0001F680'`, `'\"'`, "''", "'ab'", "'a", "1.5", "1.", ".5", "-.5", "+.5e1", "1e3", "1E3", "1e+3", "1e-3", "1e", "1e400",
		"1e-400", "0x1p4", "0x1.8p1", "0x.8p0", "0x1.8", "0xep1", "0xe", "-0xe", "0b1e1", "0x1p-1074", "0x1p1024", "1_0.2_5", "1_.5", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
		"18446744073709551615", "18446744073709551616", "0xFFFFFFFFFFFFFFFF", "123abc", "1.2.3", "1..2", "- 1", "--1", "+", "-", `""`, `"a"`, `"a\n\t\r\\\"\a\b\f\v"`, `"\x41\101\u00e9\U0001F680"`, `"\q"`, `"\'"`,
		`"\x4"`, `"\400"`, `"\ud800"`, `"\U00110000"`, "\"a\nb\"", `"a`, "``", "`a`", "`a\nb\\n`", "`a\r\nb`", "`a", "`\"`", `"é漢"`, "a", "foo", "A", "True", "NIL"} {
		add(small, "{{ "+word+" }}", "{{ print "+word+" }}")
		if !strings.ContainsAny(word, "%`'\"") {
			add(small, "{{ printf \"%v %T\" "+word+" "+word+" }}")
		}
	}
	add(small, "{{.A.B}}", "{{.A.B.C}}", "{{.Missing.B}}", "{{ $.A.B }}", "{{(.A)}}", "{{((.A))}}", "{{(.).A}}", "{{($).A}}", "{{(.A).B}}", "{{ (index . \"A\") }}", "{{(1)}}", "{{()}}", "{{( )}}", "{{(nil)}}", "{{ nil.A }}",
		"{{ true.A }}", "{{ \"a\".A }}", "{{ 1 .A }}", "{{ .A 1 }}", "{{ .A .B }}", "{{ $ 1 }}", "{{ 1 2 }}", "{{ \"a\" \"b\" }}", "{{ true false }}", "{{ . . }}", "{{ (.A) 1 }}", "{{.A-b}}", "{{ .n-x }}", "{{ index . \"n-x\" }}",
		"{{ ..A }}", "{{ .A. }}", "{{ . A }}", "{{ .A .}}", "{{.é}}", "{{.漢字}}", "{{.A1}}", "{{.1A}}", "{{._}}", "{{ .A+1 }}", "{{ 1+1 }}", "{{ 1 + 1 }}", "{{ .A == .B }}", "{{ !.A }}", "{{ .A && .B }}", "{{ .A, .B }}", "{{ .A; }}",
		"{{ @ }}", "{{ # }}", "{{ .A[0] }}", "{{ {a} }}", "{{ € }}", "{{ \x00 }}", "{{ \u200b }}", "{{ (or nil) }}", "{{ (or nil).A }}", "{{ (or nil).A.B }}", "{{ (or nil).A 1 }}", "{{ (or nil) 1 }}", "{{ print.A }}", "{{ len.A }}",
		"{{ ((((((((((.A)))))))))) }}", "{{ (((.A)) }}", "{{ .A) }}", "{{ (.A | len) }}", "{{ (.A).B.C }}", "{{ print (.A)(.B) }}", "{{ print .A(.B) }}", "{{ print (.A).B }}", "{{ print .A.B }}", "{{ .A|len }}", "{{ .A | len | print }}",
		"{{ .A | }}", "{{ | .A }}", "{{ .A || len }}", "{{ | }}", "{{}}", "{{ }}", "{{.A|print|len}}", "{{ 1 | .A }}", "{{ 1 | $ }}", "{{ 1 | . }}", "{{ 1 | 2 }}", "{{ 1 | nil }}", "{{ 1 | \"a\" }}", "{{ 1 | (print) }}", "{{ 1 | true }}",
		"{{ .A | printf \"%s\" }}", "{{ .A | printf }}", "{{ 3 | printf }}", "{{ \"%d\" | printf }}", "{{ \"%d|\" | printf 1 }}", "{{ 1 | print 2 3 }}", "{{ print | len }}", "{{ print 1 | printf \"%s-%s\" \"a\" }}")
}

func control(add adder) {
	values := []string{".A", ".Empty", ".Missing", ".Flag", ".", "$", "true", "false", "0", "1", "-1", "0.0", "0.1", `""`, `"x"`, "(or nil)", "(and nil 1)", "(index .A 0)", "(len .Empty)", "(len .A)", "(eq .A \"alpha\")", "'\\x00'"}
	for _, value := range values {
		add(small, "{{if "+value+"}}yes{{end}}", "{{if "+value+"}}yes{{else}}no{{end}}", "{{with "+value+"}}<{{.}}>{{else}}no {{.A}}{{end}}", "{{range "+value+"}}<{{.}}>{{else}}none{{end}}", "{{range $x := "+value+"}}<{{$x}}>{{else}}none{{end}}",
			"{{range $i, $x := "+value+"}}<{{$i}}={{$x}}>{{else}}none{{end}}", "{{not "+value+"}} {{and "+value+" \"last\"}} {{or "+value+" \"last\"}}")
	}
	add(small, "{{if .Empty}}a{{else if .A}}b{{else}}c{{end}}", "{{if .Empty}}a{{else if .Missing}}b{{else}}c{{end}}", "{{if .Empty}}a{{else if .Missing}}b{{end}}", "{{if .Empty}}a{{else if .Empty}}b{{else if .N}}c{{else}}d{{end}}",
		"{{if .A}}a{{else if .B}}b{{else}}c{{end}}", "{{with .Empty}}a{{else with .A}}b {{.}}{{else}}c{{end}}", "{{with .Empty}}a{{else with .Missing}}b{{else}}c {{.A}}{{end}}", "{{with .A}}{{.}} {{$.B}}{{end}}", "{{with .A}}{{.B}}{{end}}",
		"{{with $x := .A}}{{$x}} {{.}}{{end}}", "{{if $x := .A}}{{$x}}{{end}}", "{{if $x := .Empty}}a{{else}}[{{$x}}]{{end}}", "{{if $x := .Empty}}a{{else if $y := .A}}{{$x}}{{$y}}{{end}}", "{{if .Empty}}a{{else with .A}}b{{end}}",
		"{{with .Empty}}a{{else if .A}}b{{end}}", "{{range .}}a{{else if .A}}b{{end}}", "{{if .A}}{{if .B}}x{{else}}y{{end}}{{else}}z{{end}}", "{{if .A}}a{{else}}b{{else}}c{{end}}", "{{if .A}}a{{else}}b{{else if .B}}c{{end}}",
		"{{if .A}}a{{else foo}}b{{end}}", "{{if .A}}a", "{{if}}a{{end}}", "{{if .A}}a{{end .A}}", "{{if .A}}a{{end}}{{end}}", "{{else}}", "{{end}}", "{{else if .A}}", "{{ if .A }}a{{ else }}b{{ end }}", "{{if .A .B}}a{{end}}",
		"{{if eq .A \"alpha\" }}a{{end}}", "{{if (eq .A \"beta\") | not}}a{{end}}", "{{range .}}{{.}},{{end}}", "{{range $k, $v := .}}{{$k}}={{$v}};{{end}}", "{{range $k, $v := $}}{{$k}}{{.}};{{end}}", "{{range $v := .}}{{$v}};{{end}}",
		"{{range 3}}{{.}}{{end}}", "{{range 0}}a{{else}}b{{end}}", "{{range -2}}a{{else}}b{{end}}", "{{range $i := 3}}{{$i}}{{end}}", "{{range $i, $x := 3}}{{$i}}{{end}}", "{{range $i, $x := 0}}a{{else}}b{{end}}", "{{range 2}}{{range 2}}{{.}}{{end}};{{end}}",
		"{{range len .A}}{{.}}{{end}}", "{{range .A}}a{{end}}", "{{range \"abc\"}}a{{end}}", "{{range 1.5}}a{{end}}", "{{range true}}a{{end}}", "{{range nil}}a{{end}}", "{{range}}a{{end}}", "{{range (or nil)}}a{{else}}b{{end}}",
		"{{range 'a'}}{{break}}{{end}}", "{{range (index \"\\x03\" 0)}}{{printf \"%d %T \" . .}}{{end}}", "{{range 3}}{{printf \"%T\" .}}{{end}}",
		"{{range 5}}{{if eq . 3}}{{break}}{{end}}{{.}}{{end}}", "{{range 5}}{{if eq . 3}}{{continue}}{{end}}{{.}}{{end}}", "{{range 3}}{{range 3}}{{if eq . 1}}{{break}}{{end}}{{.}}{{end}};{{end}}", "{{range 3}}{{with 1}}{{continue}}{{end}}x{{end}}",
		"{{range 2}}{{break}}{{else}}none{{end}}", "{{break}}", "{{continue}}", "{{if .A}}{{break}}{{end}}", "{{range 2}}a{{else}}{{break}}{{end}}", "{{range 0}}a{{else}}{{break}}{{end}}", "{{range 2}}{{break 1}}{{end}}", "{{range 2}}{{ continue }}{{end}}",
		"{{range 2}}{{range 0}}{{else}}{{break}}{{end}}x{{end}}", "{{range $i := 4}}{{if $i}},{{end}}{{$i}}{{end}}", "{{range $break := 2}}{{$break}}{{end}}", "{{range $k, := .}}{{end}}", "{{range $k, $v}}{{end}}", "{{range $k, $v, $w := .}}{{end}}",
		"{{range $k, 1 := .}}{{end}}", "{{range $k,$v:=.}}{{$k}}{{$v}}{{end}}", "{{range $k , $v := .}}{{$k}}{{end}}", "{{range $k, $k := .}}{{$k}};{{end}}", "{{if $a, $b := .}}{{end}}", "{{$a, $b := .}}", "{{range $k, }}{{end}}", "{{range ($k, ) }}{{end}}",
		"{{if end}}", "{{range end}}", "{{if .A}}{{else}}{{end}}", "{{if .A}}{{end}}", "{{if if}}a{{end}}", "{{ print if }}", "{{ print end }}", "{{ end | print }}")
	add(none, "{{range .}}a{{else}}b{{end}}", "{{range $k, $v := .}}a{{else}}b{{end}}", "{{if .}}a{{else}}b{{end}}", "{{with .}}a{{else}}b{{.}}{{end}}", "{{range $k, $v := .}}a{{else}}[{{$k}}]{{end}}")
}

func variables(add adder) {
	add(small, "{{$x := 1}}{{$x}}", "{{$x := 1}}{{$x = 2}}{{$x}}", "{{$x:=1}}{{$x}}", "{{ $x := .A }}{{ $x }}", "{{$x := .A | len}}{{$x}}", "{{$x}}", "{{$x = 1}}", "{{$x = 1}}{{$x}}", "{{$x := 1}}{{$y}}", "{{$x := $x}}", "{{$x := 1}}{{$x := 2}}{{$x}}",
		"{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}", "{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "{{if true}}{{$x := 2}}{{end}}{{$x}}", "{{if true}}{{$y := 1}}{{else}}{{$y}}{{end}}", "{{if false}}{{$y := 1}}{{else}}{{$y}}{{end}}",
		"{{if false}}{{$y := 1}}{{else if $y}}{{end}}", "{{$x := 0}}{{range 4}}{{$x = .}}{{end}}{{$x}}", "{{$x := 0}}{{range $x = 4}}{{end}}{{$x}}", "{{$k := 0}}{{$v := 0}}{{range $k, $v = .}}{{end}}{{$k}}{{$v}}", "{{range $k, $v = .}}{{end}}",
		"{{$first := true}}{{range $k, $v := .}}{{if $first}}{{$first = false}}{{else}},{{end}}{{$k}}{{end}}", "{{$x := .}}{{$x.A}}", "{{$x := .A}}{{$x.B}}", "{{$x := 1}}{{with 2}}{{$x}}{{.}}{{end}}", "{{with $x := 1}}{{$x}}{{end}}{{$x}}",
		"{{range $i := 2}}{{$i}}{{end}}{{$i}}", "{{range 2}}{{$y := .}}{{$y}}{{end}}{{$y}}", "{{$ := 1}}{{$}}", "{{$ = 1}}{{$}}{{.A}}", "{{$x := 1 | print}}{{$x}}", "{{print ($x := 3) $x}}", "{{($x := 3)}}{{$x}}", "{{if ($x := .A)}}{{$x}}{{end}}",
		"{{$x := or nil}}{{$x}}", "{{$x := or nil}}{{$x.A}}", "{{$x := or nil}}{{$x.A 1}}", "{{$x := or nil}}{{$x 1}}", "{{$x := nil}}", "{{$x :=}}", "{{$x := }}{{$x}}", "{{$x == 1}}", "{{$x : = 1}}", "{{$x := 1 2}}", "{{$é := 1}}{{$é}}", "{{$x1_y := 1}}{{$x1_y}}",
		"{{$x-y := 1}}", "{{$1 := 2}}{{$1}}", "{{x := 1}}", "{{.A := 1}}", "{{$.A := 1}}", "{{$x.y := 1}}{{$x}}", "{{$x := 1}}{{$x.}}", "{{$x := 1}} {{- $x -}} a", "{{$x := 1}}{{range 2}}{{$x = .}}{{$x := 9}}{{$x}}{{end}}{{$x}}",
		"{{range $k, $v := .}}{{$k = \"x\"}}{{$k}}{{end}}", "{{$a := 1}}{{$b := $a}}{{$a = 2}}{{$b}}", "{{$x := \"a\"}}{{$x = printf \"%s%s\" $x \"b\"}}{{$x}}", "{{$x := 1}}{{$x = $x | printf \"%d!\"}}{{$x}}", "{{$x, $y := 1}}", "{{range $x := $y := .}}{{end}}",
		"{{$x := 1}}{{template \"a\" $x}}", "{{with $x := .A | len}}{{$x}}{{end}}", "{{$x := 1}}{{$x | print 2}}", "{{print $ }}", "{{print $.A $.B}}", "{{$x := 1}}{{.A | $x}}")
}

func functions(add adder) {
	arguments := []string{"", `"abc"`, `""`, ".A", ".Missing", ".", "1", "1.5", "true", "nil", "(or nil)", "(index .A 0)", `"a" "b"`, "1 2", `1 "a" 2`, `"a" 1 1.5`, "true false", ". .", `"<a href='x'>&\"b\"</a>" "é\x00"`, "nil nil", `nil "a" nil 1`}
	for _, function := range []string{"and", "or", "not", "len", "index", "slice", "print", "println", "printf", "html", "js", "urlquery", "call", "eq", "ne", "lt", "le", "gt", "ge"} {
		for _, argument := range arguments {
			add(small, "{{ "+function+" "+argument+" }}")
		}
		add(small, `{{ "abc" | `+function+" }}", "{{ 1 | "+function+" 2 }}", "{{ or nil | "+function+" }}", "{{ .T | "+function+" }}", "{{ . | "+function+" }}")
	}
	for _, index := range []string{"0", "1", "2", "3", "4", "-1", "1.0", `"0"`, "nil", "true", "'\\x01'", "(len \"a\")", "(index \"\\x01\" 0)", "9223372036854775807", "18446744073709551615", "0 1", "1 2", "2 1", "3 3", "0 3", "0 4", "0 1 2", "0 1 2 3", "4 4", "."} {
		add(small, `{{ index "abc" `+index+" }}", `{{ slice "abc" `+index+" | printf \"%q\" }}")
	}
	add(small, `{{ index . "A" }}`, `{{ index . "Missing" }}`, `{{ index . "" }}`, `{{ index . 1 }}`, `{{ index . }}`, `{{ index . "A" 0 }}`, `{{ index . "A" "B" }}`, `{{ index . "A" 0 0 }}`, `{{ index . .A }}`, `{{ index .A }}`, `{{ "A" | index . }}`, `{{ index nil }}`,
		`{{ index 1 1 }}`, `{{ index . nil }}`, `{{ index . true }}`, `{{ printf "%c" (index "abc" 1) }}`, `{{ printf "%T" (index "abc" 1) }}`, `{{ len (index . "A") }}`, `{{ len "é漢" }}`, `{{ len .T }}`, `{{ slice . 1 }}`, `{{ slice 1 }}`, `{{ slice "é漢" 1 3 | printf "%q" }}`,
		`{{ slice "é漢" 2 | print }}`, `{{ slice .A 1 3 }}`, `{{ 1 | slice "abc" }}`, `{{ slice nil }}`, `{{ slice (or nil) 1 }}`, `{{ html "a<b" }}`, `{{ html . }}`, `{{ html "<" 1 2 ">" }}`, `{{ html nil }}`, `{{ html (or nil) "x" }}`, `{{ js "it's \"x\" <a=b> & \\ \n\t é 漢 \u200b \U0001F680 \x7f" }}`,
		`{{ js . }}`, `{{ js 1 true }}`, `{{ urlquery "a b&c=d/é?~-_.*" }}`, `{{ urlquery . }}`, `{{ urlquery 1 2 "a" }}`, `{{ .T | html }}`, `{{ .T | js }}`, `{{ .T | urlquery }}`, `{{ print 1 2 "a" 3 4 "b" "c" true false nil nil . 1.5 }}`, `{{ print "a" 1 }}`, `{{ print 1 "a" }}`, `{{ print nil }}`,
		`{{ println 1 "a" nil }}x`, `{{ println }}x`, `{{ print }}x`, `{{ or }}`, `{{ and 1 0 2 }}`, `{{ and 1 2 }}`, `{{ or 0 "" .A .B }}`, `{{ or 0 "" }}x`, `{{ or 1 (index "a" 9) }}`, `{{ and 0 (index "a" 9) }}`, `{{ or 0 (index "a" 9) }}`, `{{ and 1 (len 1) }}`, `{{ 0 | or 1 }}`, `{{ 5 | or 0 }}`, `{{ 5 | and 1 }}`, `{{ 5 | and 0 }}`,
		`{{ or nil 18446744073709551615 }}`, `{{ or 1 18446744073709551615 }}`, `{{ or 1 (.A.B) }}`, `{{ not }}`, `{{ not 1 2 }}`, `{{ not .Empty }}`, `{{ not (not .A) }}`, `{{ len }}`, `{{ len "a" "b" }}`, `{{ call .A }}`, `{{ call nil }}`, `{{ call len "a" }}`, `{{ call }}`, `{{ len len }}`, `{{ print len }}`, `{{ print print }}`,
		`{{ env "HOME" }}`, `{{ readFile "/etc/passwd" }}`, `{{ include "x" }}`, `{{ lower .A }}`, `{{ default "x" .A }}`, `{{ .A | quote }}`, `{{ Len .A }}`, `{{ lenx }}`)
}

func comparisons(add adder) {
	operands := []string{".A", ".Missing", `"alpha"`, "1", "0", "-1", "1.0", "true", "nil", ".", "(index .A 0)"}
	for _, function := range []string{"eq", "ne", "lt", "le", "gt", "ge"} {
		for _, first := range operands {
			for _, second := range operands {
				add(small, "{{ "+function+" "+first+" "+second+" }}")
			}
		}
	}
	add(small, `{{ eq 1 2 1 }}`, `{{ eq 1 2 3 }}`, `{{ eq 1 "a" 1 }}`, `{{ eq 1 1 "a" }}`, `{{ eq .A "x" "alpha" }}`, `{{ eq .A nil }}`, `{{ eq nil nil }}`, `{{ eq nil 1 nil }}`, `{{ eq . nil }}`, `{{ eq 97 (index .A 0) }}`, `{{ eq (index .A 0) 97 }}`, `{{ eq (index .A 0) -1 }}`,
		`{{ eq 1 1.0 }}`, `{{ eq 1.5 1.5 }}`, `{{ eq 'a' 97 }}`, `{{ eq true true false }}`, `{{ lt "a" "b" }}`, `{{ lt "a" "B" }}`, `{{ lt "" "a" }}`, `{{ lt 1 2 }}`, `{{ lt 1.5 2.5 }}`, `{{ lt (index .A 0) 98 }}`, `{{ le 2 2 }}`, `{{ ge "b" "a" }}`, `{{ gt -1 -2 }}`, `{{ ne "a" "b" }}`, `{{ ne 1 }}`, `{{ ne 1 2 3 }}`, `{{ lt 1 }}`, `{{ lt 1 2 3 }}`,
		`{{ eq .N "3" }}`, `{{ eq .N 3 }}`, `{{ eq (len .A) 5 }}`, `{{ lt (len .A) (len .T) }}`, `{{ .A | eq "alpha" }}`, `{{ .A | eq "x" "y" "alpha" }}`, `{{ eq "x" .A "x" }}`, `{{ 1 | lt 2 }}`, `{{ 2 | lt 1 }}`, `{{ if and (eq .A "alpha") (ne .B "alpha") }}both{{ end }}`, `{{ if or (eq .A "x") (eq .B "beta") }}one{{ end }}`)
}

func formats(add adder) {
	values := []string{`"héllo"`, "42", "-7", "3.14159", "true", "nil", ".", "(index \"z\" 0)", `""`}
	for _, verb := range []string{"v", "+v", "#v", "s", "q", "+q", "#q", "d", "+d", "x", "X", "#x", "# x", "% x", "o", "O", "#o", "b", "#b", "c", "U", "#U", "t", "T", "e", "E", "f", "F", "g", "G", "#g", "w", "z", "é"} {
		format := "%" + verb
		for _, value := range values {
			add(small, fmt.Sprintf("{{ printf \"[%s]\" %s }}", format, value))
		}
	}
	for _, spec := range []string{"5", "-5", "05", "+5", " 5", "-05", "1", ".2", ".0", ".", "8.3", "-8.3", "08.3", "+08.3", "#8", "12.", "0", " ", "+", "#", "-", "+ "} {
		for _, typed := range []string{`s "abc"`, `s "é漢字a"`, "d 42", "d -42", "d 0", "x 255", "f 2.5", "f -2.5", "g 1234567.0", "e 0.00012", "t true", `q "a\"b"`, "v .", "c 'é'", "U 233", `x "hi"`, "T 1", "v nil", "b 5", "s 3", "d \"x\""} {
			verb, value, _ := strings.Cut(typed, " ")
			add(map[string]string{"k": "v"}, fmt.Sprintf("{{ printf \"[%%%s%s]\" %s }}", spec, verb, value))
		}
	}
	add(small, `{{ printf "%%" }}`, `{{ printf "%5%" }}`, `{{ printf "100%" }}`, `{{ printf "%" 1 }}`, `{{ printf "%s" }}`, `{{ printf "%s %s" "a" }}`, `{{ printf "%s" "a" "b" }}`, `{{ printf "" 1 nil "a" . }}`, `{{ printf "x" }}`, `{{ printf .A }}`, `{{ printf .A 1 }}`, `{{ printf 1 }}`, `{{ printf nil }}`, `{{ printf . }}`, `{{ printf }}`,
		`{{ printf "%[1]s %[1]s" "a" }}`, `{{ printf "%[2]s %[1]s" "a" "b" }}`, `{{ printf "%[3]s" "a" }}`, `{{ printf "%[0]s" "a" }}`, `{{ printf "%[-1]s" "a" }}`, `{{ printf "%[x]s" "a" }}`, `{{ printf "%[1s" "a" }}`, `{{ printf "%[]s" "a" }}`, `{{ printf "%[2]*[1]d" 5 8 }}`, `{{ printf "%[1]*d" 5 8 }}`, `{{ printf "%[1]5d" 5 }}`, `{{ printf "%[1].2f" 5.0 }}`,
		`{{ printf "%*d|" 5 42 }}`, `{{ printf "%-*d|" 5 42 }}`, `{{ printf "%*d|" -5 42 }}`, `{{ printf "%0*d|" -5 42 }}`, `{{ printf "%*d" "a" 42 }}`, `{{ printf "%*d" }}`, `{{ printf "%.*f|" 2 3.14159 }}`, `{{ printf "%.*f|" -2 3.14159 }}`, `{{ printf "%.*f|" "a" 3.14159 }}`, `{{ printf "%.[2]*[1]f" 3.14159 3 }}`, `{{ printf "%*.*f|" 8 2 3.14159 }}`,
		`{{ printf "%2000000d" 1 | len }}`, `{{ printf "%*d" 2000000 1 }}`, `{{ printf "%.2000000f" 1.0 | len }}`, `{{ printf "%99999999999999999999d" 1 }}`, `{{ printf "%s" 1 }}`, `{{ printf "%d" "a" }}`, `{{ printf "%d" 1.5 }}`, `{{ printf "%s" true }}`, `{{ printf "%t" "a" }}`, `{{ printf "%f" 1 }}`, `{{ printf "%s" nil }}`, `{{ printf "%d" nil }}`, `{{ printf "%v" nil }}`,
		`{{ printf "%T" nil }}`, `{{ printf "%5v|%-5v|" nil true }}`, `{{ printf "%d" . }}`, `{{ printf "%s" . }}`, `{{ printf "%q" . }}`, `{{ printf "%x" . }}`, `{{ printf "%8s" . }}`, `{{ printf "%#v" . }}`, `{{ printf "%+v" . }}`, `{{ printf "%w" . }}`, `{{ printf "%t" . }}`, `{{ printf "%.1s" . }}`, `{{ printf "%p" 1 }}`, `{{ printf "%p" "a" }}`,
		`{{ printf "%v %v %v" 1e6 1e20 1e21 }}`, `{{ printf "%v %v %v" 1e-4 1e-5 123456789.0 }}`, `{{ printf "%v %v" 0.1 100000.0 }}`, `{{ printf "%g %G" 1e-10 1e-10 }}`, `{{ printf "%.3g %.10g %.0g" 1234.5678 1234.5678 1234.5678 }}`, `{{ printf "%.3g %.3g" 100.0 1000.0 }}`, `{{ printf "%.1f %.1f %.0f %.0f %.0f" 0.25 0.35 0.5 1.5 2.5 }}`,
		`{{ printf "%e %E %.0e" 123456.789 0.00012 5.5 }}`, `{{ printf "%#g %#.3g %#f %#.0f %#e %#.0e" 1.0 1.0 1.0 1.0 1.0 1.0 }}`, `{{ printf "%#v %#v" 1.0 1e21 }}`, `{{ printf "%b" 1.5 }}`, `{{ printf "%x %X %.2x %.0x %#x %.20x" 1.5 1.5 3.14159 1.5 1.5 1.5 }}`, `{{ printf "%x" 0.0 }}`, `{{ printf "%x" 0x1p-1074 }}`, `{{ printf "%g" 0x1p-1074 }}`, `{{ printf "%f" 1e300 }}`,
		`{{ printf "%+.2f % .2f %+.2f" 1.5 1.5 -1.5 }}`, `{{ printf "%08.2f|%+08.2f|%-8.2f|% 08.2f|" 1.5 1.5 1.5 1.5 }}`, `{{ printf "%v %v" -0.0 0.0 }}`, `{{ printf "%.50f" 0.1 }}`, `{{ printf "%.50g" 0.1 }}`, `{{ printf "%.30e" 0.1 }}`, `{{ printf "%.1200f|" 1.0 | len }}`, `{{ printf "%.1200e|" 1.0 | len }}`, `{{ printf "%.1200g|" 1.0 | len }}`,
		`{{ printf "%+d % d %+d" 5 5 -5 }}`, `{{ printf "%05d %-5d| %+05d %05d" 42 42 42 -42 }}`, `{{ printf "%.5d %8.5d %08.5d %-8.5d|" 42 42 42 42 }}`, `{{ printf "%.0d|%5.0d|%05.0d|" 0 0 0 }}`, `{{ printf "%#x %#X %#o %#b %O" 255 255 8 5 8 }}`, `{{ printf "%#08x %#8x %-#8x|" 255 255 255 }}`, `{{ printf "%x %X %o %b" -255 -255 -8 -5 }}`, `{{ printf "%#o" 0 }}`,
		`{{ printf "%d %b" -9223372036854775808 -9223372036854775808 }}`, `{{ printf "%c %c %c" 65 0x1F680 -1 }}`, `{{ printf "%5c|%-5c|%05c|" 'a' 'a' 'a' }}`, `{{ printf "%q %q %+q %q" 'a' '\n' 'é' 0x110000 }}`, `{{ printf "%U %#U %U %#U %.6U" 233 233 0x1F680 10 233 }}`, `{{ printf "%10U|%-10U|%010U|" 233 233 233 }}`, `{{ printf "%U" -1 }}`,
		`{{ printf "%q" "a\tb\n\"\\é漢\x00\x7f\u200b\U0001F680\u00a0" }}`, `{{ printf "%+q" "é漢\U0001F680" }}`, `{{ printf "%#q %#q %#q" "a\\b" "a\tb" "a\nb" }}`, "{{ printf \"%#q\" \"a`b\" }}", `{{ printf "%q" "\xff\xc3" }}`, `{{ printf "%.2q %5.1q|" "héllo" "héllo" }}`, `{{ printf "%x % x %#x %# x %X % X" "hé" "hé" "hé" "hé" "hé" "hé" }}`, `{{ printf "%8x|%-8x|%08x|%.1x|" "hé" "hé" "hé" "hé" }}`,
		`{{ printf "%x|%5x|%05x|" "" "" "" }}`, `{{ printf "%5s|%-5s|%05s|%.2s|%5.1s|" "é" "é" "é" "héllo" "héllo" }}`, `{{ printf "%5s" "\xff\xff" | printf "%q" }}`, `{{ printf "%.1s" "\xffa" | printf "%q" }}`, `{{ printf "%5t|%-7t|%05t|%q" true false true true }}`, `{{ printf "%5T|%-8T|%.2T|" 1 "a" "a" }}`, `{{ printf "%T %T %T %T %T %T" 1 "a" 1.5 true . (index "a" 0) }}`,
		`{{ printf "%d %x %c %q %U %v %T %#v" (index "z" 0) (index "z" 0) (index "z" 0) (index "z" 0) (index "z" 0) (index "z" 0) (index "z" 0) (index "z" 0) }}`, `{{ printf "%5d|%05s|%5q" "a" 3 1.5 }}`, `{{ printf "%é" 1 }}`, `{{ printf "%!" 1 }}`, `{{ printf "%-" 1 }}`, `{{ printf "%5" 1 }}`, `{{ printf "%5." 1 }}`, `{{ printf "%.5" 1 }}`, `{{ printf "% d" "a" }}`, `{{ printf "%-010d|" 5 }}`, `{{ printf "%+s %+v" "é" "é" }}`,
		`{{ printf "a\nb%sc" "x" }}`, "{{ printf `%s\\n` \"x\" }}", `{{ printf "%s" .Missing }}`, `{{ printf "%v|%s|%q" .Missing .Missing .Missing }}`, `{{ printf "%s-%s" .A .B | len }}`, `{{ printf "%s%s" .A }}`, `{{ print (printf "%d" 3) (printf "%d" 4) }}`)
}

func mistakes(add adder) {
	add(small, "{{", "{{ ", "{{.A", "{{ .A }", "{{ .A } }", "a {{ .A }", "{{ .A }}{{", "{ { .A }}", "{{{.A}}}", "{{ {{.A}} }}", "{{ .A }} }}", "{{ \"}}\" }}", "{{ `}}` }}", "{{ '}' }}", "{{ define \"x\" }}{{ end }}", "{{define \"x\"}}a{{end}}b", "{{define \"x\"}}a{{end}}{{template \"x\"}}",
		"{{- define \"x\" -}}a{{- end -}}", "{{define}}", "{{ define x }}{{end}}", "{{template \"x\"}}", "{{ template \"x\" . }}", "{{template}}", "{{block \"x\" .}}a{{end}}", "{{- block \"x\" . }}a{{end}}", "{{block}}", "{{if .A}}{{template \"x\"}}{{end}}", "{{if .Missing}}{{template \"x\"}}{{end}}", "{{range .}}{{else}}{{block \"x\" .}}{{end}}{{end}}",
		"{{ .define }}", "{{ .template }}", "{{ .block }}", "{{ $define := 1 }}{{ $define }}", "{{ print \"{{ define }}\" }}", "text define template block", "{{/* template */}}x", "{{ index . \"template\" }}",
		"line 1\nline 2 {{ .A.B }}\n", "1\n2\n3\n{{ index .A 99 }}", "1\n{{ if .A }}\n3\n{{ lt .A 1 }}\n{{ end }}", "{{ .A\n}}\n{{\n\n.A.B }}", "1\n2 {{ nosuch }}\n", "1\n{{ if .A }}\n", "1\n{{ .A }\n2", "é {{ .A.B }}", "1\n\n{{- /* a\nb */ -}}\n\n{{ .A.B }}", "{{ printf \"%d\" 1 | slice }}",
		"{{ `\n\n` }}{{ .A.B }}", "{{ range . }}\n{{ .X }}\n{{ end }}", "{{ with .A }}\n\n{{ len 1 }}{{ end }}", "{{ $x := .A }}\n{{ $x.y }}", "{{ print\n\n(len 1) }}", "\n\n{{ .A | len | len }}")
}

func dockerfiles(add adder) {
	add(image,
		"FROM {{ .BaseImage }}\n\nRUN zypper install -y {{ .ExtraPackages }}\nRUN echo \"Version: {{ .Version }}\" > /etc/build-info\n",
		"FROM {{ .BaseImage }}\n{{- if .ExtraPackages }}\nRUN zypper install -y {{ .ExtraPackages }}\n{{- end }}\n{{- if .Missing }}\nRUN never\n{{- end }}\n",
		"{{- /* The base of all. */ -}}\nFROM {{ or .Base \"ubuntu:24.04\" }}\n{{ with .Model }}ENV MODEL={{ . }}\n{{ end }}",
		"FROM {{ .BaseImage }}\n{{ range $name, $value := . }}LABEL {{ $name }}={{ printf \"%q\" $value }}\n{{ end }}",
		"ARG BASE_IMAGE={{ .BaseImage }}\nFROM ${BASE_IMAGE}\nRUN test \"{{ .Version }}\" != \"\" && \\\n    echo {{ .Version | printf \"%-10s\" }} \\\n    && true\n",
		"FROM {{ .BaseImage }}\n{{ if eq .Model \"generic\" }}RUN echo generic\n{{ else if eq .Model \"rpi4\" }}RUN echo raspberry\n{{ else }}RUN echo {{ .Model }}\n{{ end }}",
		"FROM {{ .BaseImage }}\nRUN docker inspect --format '{{ \"{{\" }} .Id }}' x\n",
		"FROM {{ .BaseImage }}\nRUN docker inspect --format '{{`{{ .Id }}`}}' x\n",
		"FROM {{ .BaseImage }}\nRUN cat <<EOF > /etc/issue\n{{ .Model }} {{ slice .Version 1 }}\nEOF\n{{ if and .Version (ne .Version \"latest\") (lt (len .Version) 20) }}LABEL version={{ .Version }}{{ end }}\n",
		"FROM {{ .BaseImage }}\n{{ $packages := .ExtraPackages }}{{ if not $packages }}{{ $packages = \"curl\" }}{{ end }}RUN apt-get install -y {{ $packages }}\n",
		"FROM {{ .BaseImage }}\n{{ range $i := 3 }}RUN echo {{ $i }}\n{{ end }}",
		"FROM {{ .BaseImage\n", "FROM {{ .BaseImage }}\n{{ if .X }}\nRUN a\n", "FROM {{ BaseImage }}\n", "FROM {{ .Base-Image }}\n",
	)
}
