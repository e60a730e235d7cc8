module rounds.test/gotemplate

go 1.24
