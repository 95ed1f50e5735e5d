package console

import (
	"errors"
	"net/http"
)

// route is one page or action, and who may see or do it. What is not in the table does not exist.
type route struct {
	method, path string
	who          []Role // nil: anybody, signed in or not
	serve        func(*call) error
}

func everybody() []Role { return []Role{PrivacyOfficer, Jurist, FG, Auditor} }
func readers() []Role   { return []Role{PrivacyOfficer, Jurist, FG} }
func watchers() []Role  { return []Role{PrivacyOfficer, FG, Auditor} }
func authors() []Role   { return []Role{PrivacyOfficer, Jurist} }

// answerers are those who may answer a resident: the register has the same list.
func answerers() []Role { return []Role{PrivacyOfficer, FG} }

// table is the one place that says which role may see which page and do which action.
func (k *Console) table() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/assets/:version/:name", nil, k.serveAsset},
		{get, "/toegankelijkheid", nil, k.serveAccessibility},
		{get, "/aanmelden", nil, k.serveSignIn},
		{post, "/aanmelden", nil, k.signInAsPersona},
		{get, "/aanmelden/oidc", nil, k.goToProvider},
		{get, "/callback", nil, k.comeFromProvider},
		{post, "/afmelden", nil, k.signOut},
		{get, "/afgemeld", nil, k.serveSignedOut},
		{post, "/taal", nil, k.chooseLanguage},

		{get, "/", everybody(), k.serveOverview},
		{get, "/beleid", readers(), k.serveFiles},
		{get, "/beleid/bestand", readers(), k.serveFile},
		{get, "/catalogus", everybody(), k.serveCatalog},
		{get, "/afspraken", readers(), k.serveAgreements},
		{get, "/matrix", readers(), k.serveMatrix},
		{post, "/matrix", readers(), k.startMatrix},
		{get, "/matrix/voortgang", readers(), k.serveMatrixProgress},
		{get, "/matrix/bestand", readers(), k.serveMatrixFile},
		{get, "/geschiedenis", everybody(), k.serveHistory},
		{get, "/waarom", everybody(), k.serveWhy},
		{post, "/waarom", readers(), k.askQuestion},
		{post, "/waarom/besluit", everybody(), k.lookUp},
		{get, "/waarom/:id", everybody(), k.showWhy},
		{get, "/waarom/:id/voortgang", everybody(), k.serveWhyProgress},

		{get, "/ontwerpen", readers(), k.serveDrafts},
		{post, "/ontwerpen", authors(), k.makeDraft},
		{get, "/ontwerpen/:id", readers(), k.serveDraft},
		{post, "/ontwerpen/:id/weg", authors(), k.removeDraft},
		{post, "/ontwerpen/:id/verplaats", authors(), k.rebaseDraft},
		{get, "/ontwerpen/:id/bestand", readers(), k.serveEditor},
		{post, "/ontwerpen/:id/bestand", authors(), k.saveFile},
		{post, "/ontwerpen/:id/toets", authors(), k.checkFile},
		{post, "/ontwerpen/:id/opmaak", authors(), k.formatFile},
		{get, "/ontwerpen/:id/woorden", authors(), k.serveWords},
		{post, "/ontwerpen/:id/toetsing", authors(), k.startChecks},
		{post, "/ontwerpen/:id/toetsing/stop", authors(), k.stopChecks},
		{get, "/ontwerpen/:id/voortgang", readers(), k.serveProgress},
		{post, "/ontwerpen/:id/indienen", authors(), k.submitDraft},

		{get, "/voorstel/:nummer", readers(), k.serveProposal},
		{post, "/voorstel/:nummer/narekenen", readers(), k.recountProposal},
		{get, "/voorstel/:nummer/voortgang", readers(), k.serveRecount},
		{post, "/voorstel/:nummer/goedkeuren", authors(), k.approveProposal},
		{post, "/voorstel/:nummer/instemmen", authors(), k.recordAgreement},
		{post, "/voorstel/:nummer/activeren", authors(), k.activateProposal},
		{get, "/logboek", watchers(), k.serveLog},
		{post, "/logboek/zoek", watchers(), k.searchLog},
		{get, "/logboek/gevonden/:id", watchers(), k.serveFound},
		{post, "/logboek/gebeurtenis", watchers(), k.openEvent},
		{get, "/logboek/gebeurtenis/:id", watchers(), k.serveEvent},
		{post, "/logboek/gebeurtenis/:id/bewijs", watchers(), k.proveEvent},
		{get, "/logboek/gebeurtenis/:id/bewijs", watchers(), k.serveEventProof},
		{post, "/logboek/gebeurtenis/:id/opnieuw", watchers(), k.replayEvent},
		{post, "/logboek/zaak", watchers(), k.openCase},
		{get, "/logboek/zaak/:id", watchers(), k.serveCase},
		{get, "/inzagen", watchers(), k.serveLooks},
		{post, "/inzagen", watchers(), k.startLooks},
		{get, "/inzagen/:id", watchers(), k.serveLookList},
		{get, "/inzagen/:id/voortgang", watchers(), k.serveLooksProgress},
		{post, "/inzagen/:id/stop", watchers(), k.stopLooks},
		{post, "/inzagen/:id/beoordeel", watchers(), k.reviewLook},
		{get, "/integriteit", watchers(), k.serveIntegrity},
		{post, "/integriteit", watchers(), k.startVerify},
		{get, "/integriteit/voortgang", watchers(), k.serveVerifyProgress},
		{post, "/integriteit/stop", watchers(), k.stopVerify},

		{get, "/inwoners", answerers(), k.serveAsked},
		{post, "/inwoners", answerers(), k.openAsked},
		{get, "/inwoners/:id", answerers(), k.serveOneAsked},
		{post, "/inwoners/:id/antwoord", answerers(), k.answerAsked},
		{post, "/inwoners/:id/verleng", answerers(), k.extendAsked},
		{post, "/inwoners/:id/beperk", answerers(), k.restrictAsked},
		{post, "/inwoners/:id/ontvangers", answerers(), k.findRecipients},
		{get, "/inwoners/:id/voortgang", answerers(), k.serveRecipientsProgress},
		{post, "/inwoners/:id/stop", answerers(), k.stopRecipients},

		{get, "/noodstop", []Role{PrivacyOfficer}, k.serveStop},
		{post, "/noodstop", []Role{PrivacyOfficer}, k.stopAll},
	}
}

// Faults that have a page of their own. Any other error is a 500 without detail.
var (
	errNotFound  = errors.New("not found")
	errNoMethod  = errors.New("method not allowed")
	errForbidden = errors.New("forbidden")
	errForged    = errors.New("the form's token is missing or of another session")
)

// mistake is something the reader can mend; its text is shown.
type mistake struct{ nl, en string }

func (m mistake) Error() string { return m.en }

// refusal is what the register or the engine said to a step. It is shown as it is: in the reader's language where whoever
// said it has both (broker.Worded), and else in English.
type refusal struct{ err error }

func (r refusal) Error() string { return r.err.Error() }
