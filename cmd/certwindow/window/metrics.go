package window

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"certwindow/ra/store"
)

// meter tells Prometheus what is under way. It reads the database when it is asked, so every replica tells the same.
type meter struct {
	depth     func(context.Context) (store.Depth, error)
	dedicated func() time.Time
	log       func(error)
}

// scrapeTime bounds what one scrape may cost.
const scrapeTime = 3 * time.Second

var (
	descApplications = prometheus.NewDesc("certwindow_applications_open", "Open applications by state.", []string{"state"}, nil)
	descJobs         = prometheus.NewDesc("certwindow_jobs", "Unfinished jobs of the queue by state.", []string{"state"}, nil)
	descNotices      = prometheus.NewDesc("certwindow_notices_queued", "Notices to holders that are not sent yet (HCA-3.4).", nil, nil)
	descSwept        = prometheus.NewDesc("certwindow_sweep_finished_timestamp_seconds", "When the last inventory ended (HCA-3.6).", nil, nil)
	descDedicated    = prometheus.NewDesc("certwindow_dedicated_not_after_timestamp_seconds", "End of the dedicated certificate (HCA-3.1).", nil, nil)
)

// Describe implements prometheus.Collector.
func (m meter) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descApplications, descJobs, descNotices, descSwept, descDedicated} {
		out <- d
	}
}

// Collect implements prometheus.Collector. What cannot be read is left out, which an alert on absence notices.
func (m meter) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(descDedicated, float64(m.dedicated().Unix()))
	ctx, stop := context.WithTimeout(context.Background(), scrapeTime)
	defer stop()
	d, err := m.depth(ctx)
	if err != nil {
		m.log(err)
		return
	}
	for state, n := range d.Applications {
		gauge(descApplications, float64(n), string(state))
	}
	for state, n := range d.Jobs {
		gauge(descJobs, float64(n), state)
	}
	gauge(descNotices, float64(d.Notices))
	if d.SweptAt != nil {
		gauge(descSwept, float64(d.SweptAt.Unix()))
	}
}
