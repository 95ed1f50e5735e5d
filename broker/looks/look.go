package looks

import (
	"context"
	"time"

	"github.com/schakel/schakel/broker"
)

// Look is one recorded request.
type Look struct {
	Answer    string              `json:"answer"` // its id, by which the look is known
	Time      time.Time           `json:"time"`
	Worker    Worker              `json:"worker"`
	Role      broker.Role         `json:"role"`
	Purpose   broker.Purpose      `json:"purpose"`
	Case      broker.CaseID       `json:"case,omitempty"` // none where nothing bound the worker to a household
	Relation  broker.CaseRelation `json:"relation"`       // what the register said when it was decided, as the next three
	Signal    bool                `json:"signal,omitempty"`
	Claim     bool                `json:"claim,omitempty"`
	Emergency bool                `json:"emergency,omitempty"`
	Fields    int                 `json:"fields"`  // different ones that were asked
	Refused   bool                `json:"refused"` // nothing was given
}

// Worker is a member of staff of an agency.
type Worker struct {
	Agency broker.OIN      `json:"agency"`
	ID     broker.WorkerID `json:"id"`
}

// Facts is what the rules see of one look. It holds no name. Days are calendar days in Amsterdam. A change of it is a
// change of policies/schemas/look.json.
type Facts struct {
	V      int         `json:"v"`
	Look   LookFacts   `json:"look"`
	Case   CaseFacts   `json:"case"`
	Worker WorkerFacts `json:"worker"`
}

// LookFacts is about the look itself.
type LookFacts struct {
	Relation    broker.CaseRelation `json:"relation"`
	Signal      bool                `json:"signal"`
	Claim       bool                `json:"claim"`
	Emergency   bool                `json:"emergency"`
	Refused     bool                `json:"refused"`
	Hour        int                 `json:"hour"`          // 0–23
	Weekday     int                 `json:"weekday"`       // 1 is Monday, 7 is Sunday (ISO 8601)
	FirstOfWeek bool                `json:"first_of_week"` // of this worker, since Monday
}

// CaseFacts is about the case before this look.
type CaseFacts struct {
	Staffed       bool `json:"staffed"`        // the register has workers on it now, or the log has a look of one
	ColleagueDays int  `json:"colleague_days"` // since a colleague whose case it is looked at it; -1 where none did
	QuietDays     int  `json:"quiet_days"`     // since anybody looked at it; -1 where nobody did
	Onlookers     int  `json:"onlookers"`      // workers whose case it is not and who looked at it in these seven days, this one too
}

// WorkerFacts is about the worker in the Window before this look, and about peers: workers of the same role in the same team,
// or in the same agency where the team has fewer than five of them. What is about weeks (Others and all after it) is told at
// the worker's first look of a week and is 0 at others.
type WorkerFacts struct {
	HistoryDays    int `json:"history_days"`          // that the log goes back, at most Window
	Looks          int `json:"looks"`                 // of the worker, at most 100
	Habit          int `json:"habit"`                 // of these, within two hours of this one on weekdays, or on any day of a weekend; at most 100
	RefusedInRow   int `json:"refused_in_row"`        // refusals without a tie on this day with nothing else between, this one too
	Others         int `json:"others"`                // different cases of others, this one too
	OthersPercent  int `json:"others_percent"`        // of what is usual (the median) among peers; at most 1000
	BreadthPercent int `json:"breadth_percent"`       // how much of what can be asked in this role the worker asks on average
	PeersBreadth   int `json:"peers_breadth_percent"` // the same of peers (the median)
	Peers          int `json:"peers"`                 // how many are compared with, the worker too
}

// Judgement is what the rules say of one look.
type Judgement struct {
	Explanations []Named `json:"explanations"`
	Patterns     []Named `json:"patterns"`
	Score        int     `json:"score"`  // the weights of the patterns together
	Listed       bool    `json:"listed"` // worth the time of somebody who asks
}

// Named is a pattern or explanation in words.
type Named struct {
	ID string `json:"id"`
	broker.Text
}

// Judged is a look with what was found about it.
type Judged struct {
	Look
	Facts     Facts     `json:"facts"`
	Judgement Judgement `json:"judgement"`
}

// Rules judge facts (decide.Rules.Ask).
type Rules func(ctx context.Context, facts, judgement any) error
