// Writes what Go's own text/template makes of many templates: cases.json, which tests/it/gotemplate.rs compares with.
//
//	go run . > ../cases.json
//	go run . -random 50000 -seed 7    only random ones, for a longer comparison
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"regexp"
	"strconv"
	"text/template"
	"text/template/parse"
	"unicode/utf8"
)

// Case is a template with its values, and what Go makes of it: a text, or an error and perhaps the line of it.
type Case struct {
	Template string            `json:"template"`
	Values   map[string]string `json:"values"`
	Output   *string           `json:"output,omitempty"`
	Error    bool              `json:"error,omitempty"`
	Line     int               `json:"line,omitempty"`
}

// The place of an error that happens when a template is carried out; one of the parser may be told where it gave up.
var place = regexp.MustCompile(`^template: t:(\d+):\d+: executing`)

func run(text string, values map[string]string) Case {
	made := Case{Template: text, Values: values}
	output, err := render(text, values)
	if err == nil {
		if !utf8.ValidString(output) {
			log.Fatalf("the result is no UTF-8, and cannot stand in JSON: %q", text)
		}
		made.Output = &output
		return made
	}
	made.Error = true
	if found := place.FindStringSubmatch(err.Error()); found != nil {
		made.Line, _ = strconv.Atoi(found[1])
	}
	return made
}

// As the operator for Kairos does it, which refuses define, template and block.
func render(text string, values map[string]string) (string, error) {
	parsed, err := template.New("t").Option("missingkey=zero").Parse(text)
	if err != nil {
		return "", err
	}
	if len(parsed.Templates()) > 1 || callsTemplate(parsed.Root) {
		return "", fmt.Errorf("forbidden")
	}
	var output bytes.Buffer
	if err := parsed.Execute(&output, values); err != nil {
		return "", err
	}
	return output.String(), nil
}

func callsTemplate(node parse.Node) bool {
	switch node := node.(type) {
	case *parse.TemplateNode:
		return true
	case *parse.ListNode:
		if node == nil {
			return false
		}
		for _, inner := range node.Nodes {
			if callsTemplate(inner) {
				return true
			}
		}
	case *parse.IfNode:
		return callsTemplate(node.List) || callsTemplate(node.ElseList)
	case *parse.WithNode:
		return callsTemplate(node.List) || callsTemplate(node.ElseList)
	case *parse.RangeNode:
		return callsTemplate(node.List) || callsTemplate(node.ElseList)
	}
	return false
}

func main() {
	random := flag.Int("random", 0, "write so many random templates and nothing else")
	seed := flag.Int64("seed", 1, "of the random templates")
	flag.Parse()
	var cases []Case
	if *random > 0 {
		cases = randomCases(*random, rand.New(rand.NewSource(*seed)))
	} else {
		cases = append(written(), randomCases(400, rand.New(rand.NewSource(1)))...)
	}
	output := bytes.NewBufferString("[\n")
	for index, made := range cases {
		line := &bytes.Buffer{}
		encoder := json.NewEncoder(line)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(made); err != nil {
			log.Fatal(err)
		}
		output.Write(bytes.TrimRight(line.Bytes(), "\n"))
		if index < len(cases)-1 {
			output.WriteString(",")
		}
		output.WriteString("\n")
	}
	output.WriteString("]\n")
	if _, err := os.Stdout.Write(output.Bytes()); err != nil {
		log.Fatal(err)
	}
}
