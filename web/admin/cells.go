package admin

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"certwindow/devices"
	"certwindow/ra"
	"certwindow/web/admin/mask"
)

// What lists and their exports show.

func plain(text string) cell { return cell{Text: text} }

func leading(path, text string) cell { return cell{Text: text, Path: path} }

// word is a word of a family of the catalogue; empty for an empty value.
func (p *page) word(family, value string) cell {
	if value == "" {
		return cell{}
	}
	return plain(p.words().say(family + "." + value))
}

// state is a state's word in its shape.
func (p *page) state(kind, value string) cell {
	return cell{Text: p.words().say("state." + kind + "." + value), HTML: p.words().state(kind, value)}
}

// when is a time as pages show it; zero is nothing.
func (p *page) when(t time.Time) cell {
	if t.IsZero() {
		return cell{}
	}
	return cell{Text: t.In(taipei).Format(stampFormat), HTML: p.site.stamp(p.words(), t)}
}

// to makes a cell lead to a page.
func (c cell) to(path string) cell {
	c.Path = path
	return c
}

// joined is several words in one cell.
func joined(list []string) cell { return plain(strings.Join(list, ", ")) }

// institutionCell is an institution's code, which leads to its page.
func (p *page) institutionCell(code ra.InstitutionCode) cell {
	if code == "" {
		return cell{}
	}
	return leading("/institutions/"+string(code), string(code))
}

// holders are the masked names of those whom the rows of a list are about, in two queries for all of them; ids of those
// who may not be seen.
func holders[T any](p *page, list []T, of func(T) ra.PersonID) (map[ra.PersonID]string, error) {
	out := map[ra.PersonID]string{}
	var ids []ra.PersonID
	for _, x := range list {
		id := of(x)
		if _, ok := out[id]; !ok {
			out[id], ids = string(id), append(ids, id)
		}
	}
	if len(ids) == 0 {
		return out, nil
	}
	found, err := p.site.Registry.Persons(p.ctx(), p.actor(), devices.PersonQuery{IDs: ids, Limit: exportPage})
	for _, x := range found {
		out[x.ID] = mask.Name(x.Name)
	}
	return out, err
}

// personName is the masked name of somebody whose id stands in an address; the id where he may not be seen.
func (p *page) personName(id string) string {
	if x, err := p.site.Registry.Person(p.ctx(), p.actor(), ra.PersonID(id)); err == nil {
		return mask.Name(x.Name)
	}
	return id
}

// deviceCode is the same of a device.
func (p *page) deviceCode(id string) string {
	if d, _, err := p.site.Registry.Device(p.ctx(), p.actor(), ra.DeviceID(id)); err == nil {
		return d.Code
	}
	return id
}

// serial is a serial number as certificates' rows have it, of what somebody typed or copied from elsewhere: AA:BB, 0xAABB.
func serial(s string) string {
	s = strings.NewReplacer(":", "", " ", "", "-", "").Replace(strings.ToLower(s))
	return strings.TrimLeft(strings.TrimPrefix(s, "0x"), "0")
}

// pageOf is the page that is asked for of a list that is short enough to be read whole.
func pageOf[R any](all []R, a asked, mark func(by string, r R) ra.Mark) []R {
	compare := func(x, y ra.Mark) int {
		c := cmp.Or(strings.Compare(x.Key, y.Key), strings.Compare(x.ID, y.ID))
		if a.order.Desc {
			return -c
		}
		return c
	}
	slices.SortStableFunc(all, func(x, y R) int { return compare(mark(a.order.By, x), mark(a.order.By, y)) })
	if a.order.After != nil {
		all = slices.DeleteFunc(all, func(r R) bool { return compare(mark(a.order.By, r), *a.order.After) <= 0 })
	}
	return all[:min(len(all), a.limit)]
}
