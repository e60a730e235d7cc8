module example.org/gotemplate/generate

go 1.24
