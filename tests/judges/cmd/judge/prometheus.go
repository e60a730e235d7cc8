package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
)

// metrics reads an exposition as Prometheus does when it scrapes, and text also as the node exporter reads its textfiles.
func metrics(args []string, in io.Reader) error {
	contentType := "text/plain; version=0.0.4"
	if len(args) == 1 {
		contentType = args[0]
	}
	input, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	parser, err := textparse.New(input, contentType, labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		return err
	}
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if entry == textparse.EntrySeries {
			var series labels.Labels
			_, _, value := parser.Series()
			parser.Labels(&series)
			fmt.Println(series.String(), value)
		}
	}
	if strings.HasPrefix(contentType, "text/plain") {
		textfile := expfmt.NewTextParser(model.UTF8Validation)
		_, err = textfile.TextToMetricFamilies(bytes.NewReader(input))
	}
	return err
}

// rules reads a file of rules as Prometheus and `promtool check rules` do, its expressions and templates included.
func rules(in io.Reader) error {
	content, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	groups, problems := rulefmt.Parse(content, false, model.UTF8Validation)
	if err := errors.Join(problems...); err != nil {
		return err
	}
	count := 0
	for _, group := range groups.Groups {
		count += len(group.Rules)
	}
	fmt.Println(count)
	return nil
}
