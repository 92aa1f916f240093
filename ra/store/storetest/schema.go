package storetest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm/schema"

	"certwindow/migrations"
	"certwindow/ra/store"
)

// Column is one column of a table, in words that mean the same on every database.
type Column struct {
	Table string
	Name  string
	Type  string // text, bytes, time, int or bool
	Null  bool   // NULL is allowed
}

// Unique is one unique key of a table, its primary key included.
type Unique struct {
	Table   string
	Columns string // in the key's order, with commas
	Partial bool   // it holds for some rows only
}

// Migrations of the job queue and of the migration tool itself bring tables of their own.
func foreign(table string) bool {
	return strings.HasPrefix(table, "river_") || strings.HasPrefix(table, "goose_") || strings.HasPrefix(table, "sqlite_")
}

// Columns are the columns that a database has, sorted.
func Columns(t testing.TB, db *store.DB) (out []Column) {
	t.Helper()
	query := `SELECT m.name AS "table", p.name AS name, p.type AS type, p."notnull" = 0 AND p.pk = 0 AS "null"
		FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'`
	if db.Dialect == migrations.Postgres {
		query = `SELECT table_name AS "table", column_name AS name, data_type AS type, is_nullable = 'YES' AS "null"
			FROM information_schema.columns WHERE table_schema = 'public'`
	}
	if err := db.Gorm.Raw(query).Scan(&out).Error; err != nil {
		t.Fatal(err)
	}
	classes := map[string]string{"TEXT": "text", "BLOB": "bytes", "BYTEA": "bytes", "DATETIME": "time", "TIMESTAMP WITH TIME ZONE": "time",
		"INTEGER": "int", "BIGINT": "int", "BOOLEAN": "bool"}
	out = slices.DeleteFunc(out, func(c Column) bool { return foreign(c.Table) })
	for i, c := range out {
		class, ok := classes[strings.ToUpper(c.Type)]
		if !ok {
			t.Errorf("%s.%s has the type %s", c.Table, c.Name, c.Type)
		}
		out[i].Type = class
	}
	slices.SortFunc(out, func(a, b Column) int { return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Name, b.Name)) })
	return out
}

// Uniques are the unique keys that a database has, sorted.
func Uniques(t testing.TB, db *store.DB) (out []Unique) {
	t.Helper()
	query := `SELECT "table", group_concat(name) AS columns, partial FROM (SELECT m.name AS "table", i.name AS key, c.name AS name, i.partial AS partial
		FROM sqlite_master m JOIN pragma_index_list(m.name) i JOIN pragma_index_info(i.name) c WHERE m.type = 'table' AND i."unique" = 1
		ORDER BY m.name, i.name, c.seqno) GROUP BY "table", key
		UNION ALL SELECT m.name, p.name, 0 FROM sqlite_master m JOIN pragma_table_info(m.name) p
		WHERE m.type = 'table' AND p.type = 'INTEGER' AND p.pk = 1`
	if db.Dialect == migrations.Postgres {
		query = `SELECT r.relname AS "table", string_agg(a.attname, ',' ORDER BY k.n) AS columns, i.indpred IS NOT NULL AS partial
			FROM pg_index i JOIN pg_class r ON r.oid = i.indrelid JOIN pg_namespace s ON s.oid = r.relnamespace
			CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(col, n) JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = k.col
			WHERE i.indisunique AND s.nspname = 'public' GROUP BY r.relname, i.indexrelid, i.indpred IS NOT NULL`
	}
	if err := db.Gorm.Raw(query).Scan(&out).Error; err != nil {
		t.Fatal(err)
	}
	out = slices.DeleteFunc(out, func(u Unique) bool { return foreign(u.Table) })
	slices.SortFunc(out, func(a, b Unique) int { return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Columns, b.Columns)) })
	return out
}

// Models compares tables with the types that a store reads and writes them by: each column has its field, each field
// its column, of the same type, and NULL is allowed where the field can hold it. Every other table must be among others,
// those of other packages; nil lets any be there.
func Models(t *testing.T, db *store.DB, others []string, models ...any) {
	t.Helper()
	fields := map[string]*schema.Field{}
	tables := map[string]bool{}
	var cache sync.Map
	for _, m := range models {
		s, err := schema.Parse(m, &cache, schema.NamingStrategy{})
		if err != nil {
			t.Fatal(err)
		}
		tables[s.Table] = true
		for _, f := range s.Fields {
			fields[s.Table+"."+f.DBName] = f
		}
	}
	for _, c := range Columns(t, db) {
		if !tables[c.Table] && (others == nil || slices.Contains(others, c.Table)) {
			continue
		}
		name := c.Table + "." + c.Name
		f, ok := fields[name]
		if !ok {
			t.Errorf("%s: no model has this column", name)
			continue
		}
		delete(fields, name)
		class, null := classOf(f)
		if class != c.Type {
			t.Errorf("%s is %s, its field %s", name, c.Type, f.FieldType)
		}
		if null == "never" && c.Null || null == "always" && !c.Null {
			t.Errorf("%s: NULL allowed is %v, its field is %s", name, c.Null, f.FieldType)
		}
	}
	for name, f := range fields {
		t.Errorf("%s: no column for the field %s", name, f.Name)
	}
}

// classOf tells what kind of column a field needs, and whether that must allow NULL: never, always, or as it likes.
func classOf(f *schema.Field) (class, null string) {
	ft, null := f.FieldType, "never"
	if ft.Kind() == reflect.Pointer {
		ft, null = ft.Elem(), "always"
	}
	switch {
	case f.Serializer != nil && f.TagSettings["SERIALIZER"] == "json":
		return "text", null
	case ft == reflect.TypeFor[time.Time]():
		return "time", null
	case ft == reflect.TypeFor[[]byte]():
		return "bytes", "either"
	case ft.Kind() == reflect.String:
		return "text", null
	case ft.Kind() == reflect.Bool:
		return "bool", null
	case ft.Kind() == reflect.Int, ft.Kind() == reflect.Int64:
		return "int", null
	}
	return fmt.Sprint(ft), null
}
