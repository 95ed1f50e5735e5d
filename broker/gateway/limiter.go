package gateway

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/schakel/schakel/broker"
)

// maxBuckets bounds the memory of a limiter. Only agencies whose token was verified have a bucket, so it is far more
// than there are agencies.
const maxBuckets = 4096

// NewLimiter gives each agency a token bucket: perSecond requests on average, burst at once. It is made for
// broker.Config.Admit. A limit that is not positive admits nobody.
func NewLimiter(perSecond float64, burst int) func(broker.OIN) bool {
	return newLimiter(perSecond, burst, maxBuckets, time.Now).admit
}

type limiter struct {
	perSecond float64
	burst     int
	max       int
	now       func() time.Time

	mu      sync.Mutex
	buckets map[broker.OIN]*list.Element
	recent  *list.List // of *bucket, the last used first
}

type bucket struct {
	oin    broker.OIN
	tokens *rate.Limiter
}

func newLimiter(perSecond float64, burst, limit int, now func() time.Time) *limiter {
	return &limiter{perSecond: perSecond, burst: burst, max: limit, now: now,
		buckets: map[broker.OIN]*list.Element{}, recent: list.New()}
}

func (l *limiter) admit(oin broker.OIN) bool {
	if l.perSecond <= 0 || l.burst <= 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.buckets[oin]
	if !ok {
		if len(l.buckets) >= l.max { // the longest unused bucket is the most likely to be full again
			last := l.recent.Back()
			l.recent.Remove(last)
			delete(l.buckets, last.Value.(*bucket).oin)
		}
		e = l.recent.PushFront(&bucket{oin, rate.NewLimiter(rate.Limit(l.perSecond), l.burst)})
		l.buckets[oin] = e
	}
	l.recent.MoveToFront(e)
	return e.Value.(*bucket).tokens.AllowN(l.now(), 1)
}
