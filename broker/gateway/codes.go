package gateway

import (
	"net/http"

	"github.com/schakel/schakel/broker"
)

// problemRow is what a code becomes on the wire.
type problemRow struct {
	status        int
	title, detail broker.Text
	retryAfter    int // seconds; 0: no Retry-After
}

// problemTable is the one table from codes to HTTP: every code that a package under broker fails with, and the
// gateway's own. A detail says what to do next. A code is never taken out or given another meaning.
func problemTable() map[string]problemRow {
	t := map[string]problemRow{}
	add := func(status, retryAfter int, code, titleNL, titleEN, detailNL, detailEN string) {
		t[code] = problemRow{status, broker.Text{NL: titleNL, EN: titleEN}, broker.Text{NL: detailNL, EN: detailEN}, retryAfter}
	}

	// The request itself.
	add(400, 0, "json-malformed", "De aanvraag is geen geldige JSON", "The request is not valid JSON",
		"Stuur één JSON-object in UTF-8, zonder dubbele sleutels, hooguit acht niveaus diep en zonder tekst erna.",
		"Send one JSON object in UTF-8, without duplicate keys, at most eight levels deep, with nothing after it.")
	add(400, 0, "parameters-invalid", "De aanvraag bevat ongeldige gegevens", "The request has invalid parameters",
		"Verbeter wat in invalidParams staat; daar staat alles wat niet klopt. /v1/openapi.json beschrijft de aanvraag, /v1/catalog de toegestane woorden.",
		"Correct what invalidParams lists; everything that is wrong is there. /v1/openapi.json describes the request, /v1/catalog the words it may use.")
	add(400, 0, "query-not-allowed", "De URL heeft een query", "The URL has a query",
		"Zet alles in de body en niets achter een vraagteken: een URL komt in logbestanden terecht en mag geen persoonsgegevens bevatten.",
		"Put everything in the body and nothing after a question mark: URLs end up in log files and must hold no personal data.")
	add(400, 0, "body-incomplete", "De aanvraag kwam niet heel aan", "The request did not arrive whole",
		"De verbinding brak af of de opgegeven lengte klopte niet. Stuur de aanvraag opnieuw.",
		"The connection broke off or the length did not match. Send the request again.")
	add(408, 0, "body-too-slow", "De aanvraag kwam te langzaam binnen", "The request came in too slowly",
		"Stuur de aanvraag opnieuw, en in één keer.", "Send the request again, all at once.")
	add(404, 0, "not-found", "Dit adres bestaat niet", "There is nothing at this address",
		"Controleer het pad, ook op een schuine streep aan het eind. /v1/openapi.json noemt alle paden.",
		"Check the path, also for a slash at the end. /v1/openapi.json lists all paths.")
	add(405, 0, "method-not-allowed", "Deze methode kan hier niet", "This method is not possible here",
		"Gebruik een methode uit de header Allow.", "Use a method from the Allow header.")
	add(406, 0, "not-acceptable", "Geen gevraagd formaat is leverbaar", "None of the formats asked for can be given",
		"Vraag in Accept om application/json, of om application/jose voor een compacte JWS.",
		"Ask in Accept for application/json, or for application/jose to get a compact JWS.")
	add(413, 0, "body-too-large", "De aanvraag is te groot", "The request is too large",
		"Een aanvraag is hooguit 64 kB. Vraag minder velden tegelijk, of vraag een groep met één pad.",
		"A request is at most 64 KB. Ask for fewer fields at once, or for a group with one path.")
	add(415, 0, "media-type-unsupported", "De aanvraag is geen JSON", "The request is not JSON",
		"Stuur de body als application/json en zet dat in precies één header Content-Type.",
		"Send the body as application/json and say so in exactly one Content-Type header.")
	add(415, 0, "content-encoding-unsupported", "De aanvraag is gecomprimeerd", "The request is compressed",
		"Stuur de body zonder compressie en zonder de header Content-Encoding.",
		"Send the body without compression and without a Content-Encoding header.")
	add(429, 1, "too-many-requests", "Uw organisatie vraagt te veel tegelijk", "Your agency asks too much at once",
		"Wacht het aantal seconden in Retry-After en probeer het dan opnieuw.",
		"Wait the number of seconds in Retry-After, then try again.")

	tokenRows(add)
	proofRows(add)

	// Not now. Nothing was disclosed: no answer leaves before its record is safe.
	const laterNL = " Er is niets verstrekt. Probeer het opnieuw na het aantal seconden in Retry-After."
	const laterEN = " Nothing was disclosed. Try again after the number of seconds in Retry-After."
	unavailable := func(retryAfter int, code, nl, en string) {
		add(503, retryAfter, code, "Schakel kan nu niet antwoorden", "Schakel can't answer now", nl+laterNL, en+laterEN)
	}
	unavailable(1, "journal-unavailable", "Het logboek kan deze verstrekking nu niet vastleggen.",
		"The log can't record this disclosure now.")
	unavailable(5, "writer-fenced", "Deze server mag niet meer in het logboek schrijven en stopt; een andere neemt het over.",
		"This server may no longer write to the log and stops; another takes over.")
	unavailable(30, "store-unsafe", "De opslag van het logboek is niet ingesteld zoals het moet.",
		"The storage of the log is not configured as it must be.")
	unavailable(30, "log-unsealed", "Het logboek van deze server is te lang niet bevestigd door een controlepunt.",
		"The log of this server has waited too long for a checkpoint.")
	unavailable(30, "no-policy", "Er is nog geen beleid in werking.", "No policy is in force yet.")
	unavailable(2, "register-behind", "Het register op deze server loopt achter.", "The register on this server is behind.")
	unavailable(5, "revision-not-loaded", "Het beleid dat nu geldt is op deze server nog niet geladen.",
		"The policy in force is not loaded on this server yet.")
	unavailable(1, "facts-keep-changing", "De gegevens over dit dossier veranderden tijdens de aanvraag telkens.",
		"The facts of this case kept changing during the request.")
	unavailable(2, "timeout", "Het antwoord was niet op tijd klaar.", "The answer was not ready in time.")
	unavailable(1, "policy-interrupted", "De beslissing werd afgebroken voordat zij klaar was.",
		"The decision was interrupted before it was complete.")
	add(503, 5, "not-ready", "Deze server is nog niet klaar", "This server is not ready yet",
		"Stuur verkeer naar een andere server. notReady noemt wat hier ontbreekt.",
		"Send traffic to another server. notReady names what is missing here.")
	add(503, 5, "keys-unavailable", "De openbare sleutels zijn er nu niet", "The public keys are not available now",
		"Probeer het opnieuw na het aantal seconden in Retry-After.", "Try again after the number of seconds in Retry-After.")

	// Our fault. Only the first is shown, whatever the code: the others are here so that the table is whole.
	for _, code := range []string{codeInternal, "policy-result-malformed", "query-malformed", "query-version-unknown"} {
		add(http.StatusInternalServerError, 0, code, "Er ging iets mis bij Schakel", "Something went wrong at Schakel",
			"Er is niets verstrekt. Probeer het later opnieuw. Blijft het misgaan, geef de beheerder dan de waarde van de header traceresponse.",
			"Nothing was disclosed. Try again later. If it keeps failing, give the operator the value of the traceresponse header.")
	}
	return t
}

// tokenRows are what can be wrong with a bearer token: always 401, too large as well, since it is a token that is wrong.
func tokenRows(add func(status, retryAfter int, code, titleNL, titleEN, detailNL, detailEN string)) {
	row := func(code, titleNL, titleEN, detailNL, detailEN string) {
		add(http.StatusUnauthorized, 0, code, titleNL, titleEN, detailNL, detailEN)
	}
	token := func(code, detailNL, detailEN string) {
		row(code, "Het token wordt niet aanvaard", "The token is not accepted", detailNL, detailEN)
	}
	row("token-missing", "Er is geen token meegestuurd", "No token was sent",
		"Stuur de header Authorization: Bearer (of DPoP) met een JWT dat uw organisatie voor deze medewerker ondertekent.",
		"Send the header Authorization: Bearer (or DPoP) with a JWT that your agency signs for this worker.")
	token("token-malformed", "Stuur precies één header Authorization, met Bearer of DPoP, een spatie en een JWT in compacte vorm.",
		"Send exactly one Authorization header, with Bearer or DPoP, a space and a JWT in compact form.")
	token("token-too-large", "Een token is hooguit 8 kB. Laat claims weg die Schakel niet vraagt.",
		"A token is at most 8 KB. Leave out claims that Schakel does not ask for.")
	token("token-typ", "Zet in de header van het token typ: schakel-request+jwt.",
		"Put typ: schakel-request+jwt in the token's header.")
	token("token-alg", "Onderteken met ES256, PS256 of EdDSA, met het algoritme van de geregistreerde sleutel.",
		"Sign with ES256, PS256 or EdDSA, with the algorithm of the registered key.")
	token("token-embedded-key", "Laat jwk, jku, x5u en x5c weg: alleen geregistreerde sleutels gelden. Noem die met kid.",
		"Leave out jwk, jku, x5u and x5c: only registered keys count. Name one with kid.")
	token("token-crit", "Laat crit weg: Schakel kent geen uitbreidingen.", "Leave out crit: Schakel knows no extensions.")
	token("token-kid", "Zet in kid de naam van een sleutel die uw organisatie heeft geregistreerd.",
		"Put the name of a key that your agency registered in kid.")
	token("agency-unknown", "De organisatie in iss is hier niet aangesloten. Zet in iss het OIN van 20 cijfers waarmee uw organisatie is geregistreerd.",
		"The agency in iss is not connected here. Put the OIN of 20 digits with which your agency is registered in iss.")
	token("agency-suspended", "De toegang van uw organisatie is opgeschort. Neem contact op met de beheerder van Schakel.",
		"Your agency's access is suspended. Contact the operator of Schakel.")
	token("key-suspended", "Deze sleutel is opgeschort. Onderteken met een andere geregistreerde sleutel, of neem contact op met de beheerder.",
		"This key is suspended. Sign with another registered key, or contact the operator.")
	token("token-signature", "De handtekening klopt niet bij de geregistreerde sleutel. Controleer of kid en de ondertekenende sleutel bij elkaar horen.",
		"The signature does not match the registered key. Check that kid and the signing key belong together.")
	token("token-audience", "Zet in aud het adres van deze Schakel, en alleen dat.", "Put the address of this Schakel in aud, and nothing else.")
	token("token-expired", "Het token is verlopen. Maak een nieuw; controleer ook de klok van uw systeem.",
		"The token has expired. Make a new one; check your system's clock too.")
	token("token-not-yet-valid", "Het token geldt nog niet. Controleer de klok van uw systeem: hij mag 30 seconden afwijken.",
		"The token is not valid yet. Check your system's clock: it may be off by 30 seconds.")
	token("token-lifetime", "Een token geldt hooguit 300 seconden: zet exp niet verder na iat.",
		"A token is valid for at most 300 seconds: put exp no further after iat.")
	token("token-role", "Uw organisatie mag deze rol niet toekennen. Gebruik een rol die voor uw organisatie is geregistreerd; /v1/catalog noemt alle rollen.",
		"Your agency may not assert this role. Use a role registered for your agency; /v1/catalog lists all roles.")
	token("token-duplicate-claim", "Een claim staat er tweemaal in. Zet elke claim er één keer in.",
		"A claim stands in it twice. Put each claim in once.")
	token("token-claims", "Zet iss, sub, role, aud, iat, exp en jti in het token, elk van het juiste type.",
		"Put iss, sub, role, aud, iat, exp and jti in the token, each of the right type.")
	token("token-dpop", "Dit token en deze manier van vragen horen niet bij elkaar. Een token met cnf.jkt gaat met Authorization: DPoP en een bewijs in de header DPoP; een ander gaat zonder. Uw organisatie kan verplicht zijn tot het eerste.",
		"This token and this way of asking do not belong together. A token with cnf.jkt goes with Authorization: DPoP and a proof in the DPoP header; any other goes without. Your agency may be held to the first.")
	token("token-certificate", "Het token hoort bij een ander clientcertificaat, of er was geen. Verbind met het certificaat waarvan de vingerafdruk in cnf.x5t#S256 staat.",
		"The token belongs to another client certificate, or there was none. Connect with the certificate whose thumbprint is in cnf.x5t#S256.")
}

// proofRows are what can be wrong with a DPoP proof (RFC 9449).
func proofRows(add func(status, retryAfter int, code, titleNL, titleEN, detailNL, detailEN string)) {
	proof := func(code, detailNL, detailEN string) {
		add(http.StatusUnauthorized, 0, code, "Het bewijs bij het token wordt niet aanvaard", "The proof with the token is not accepted", detailNL, detailEN)
	}
	proof("proof-missing", "Stuur in de header DPoP een bewijs dat u de sleutel hebt waaraan het token gebonden is.",
		"Send a proof in the DPoP header that you have the key the token is bound to.")
	proof("proof-malformed", "Stuur precies één header DPoP, met een JWT in compacte vorm van hooguit 4 kB, zonder dubbele claims en zonder jku, x5u, x5c en crit.",
		"Send exactly one DPoP header, with a JWT in compact form of at most 4 KB, without duplicate claims and without jku, x5u, x5c and crit.")
	proof("proof-typ", "Zet in de header van het bewijs typ: dpop+jwt.", "Put typ: dpop+jwt in the proof's header.")
	proof("proof-alg", "Onderteken het bewijs met ES256, PS256 of EdDSA, met het algoritme van de sleutel in jwk.",
		"Sign the proof with ES256, PS256 or EdDSA, with the algorithm of the key in jwk.")
	proof("proof-jwk", "Zet in jwk de openbare sleutel, en alleen die: P-256, Ed25519 of RSA van 2048 tot 4096 bits.",
		"Put the public key in jwk, and only that: P-256, Ed25519 or RSA of 2048 to 4096 bits.")
	proof("proof-key", "De sleutel in jwk is niet die waaraan het token gebonden is (cnf.jkt).",
		"The key in jwk is not the one that the token is bound to (cnf.jkt).")
	proof("proof-claims", "Zet jti, htm, htu, iat, ath en nonce in het bewijs, elk van het juiste type; jti heeft 16 tot 200 tekens.",
		"Put jti, htm, htu, iat, ath and nonce in the proof, each of the right type; jti has 16 to 200 characters.")
	proof("proof-htm", "Zet in htm de methode van dit verzoek.", "Put the method of this request in htm.")
	proof("proof-htu", "Zet in htu het openbare adres van dit verzoek, zonder query.", "Put the public URL of this request in htu, without query.")
	proof("proof-ath", "Zet in ath de SHA-256 van het token waarmee u vraagt, in base64url.",
		"Put the SHA-256 of the token that you ask with in ath, in base64url.")
	proof("proof-iat", "Het bewijs is te oud of komt uit de toekomst. Maak voor elk verzoek een nieuw; controleer ook de klok van uw systeem.",
		"The proof is too old or from the future. Make a new one for each request; check your system's clock too.")
	proof("proof-nonce", "Zet in nonce de waarde van de header DPoP-Nonce van dit antwoord, en vraag opnieuw met een nieuw bewijs.",
		"Put the value of this answer's DPoP-Nonce header in nonce, and ask again with a new proof.")
	proof("proof-signature", "De handtekening van het bewijs klopt niet bij de sleutel in jwk.", "The proof's signature does not match the key in jwk.")
	proof("proof-replayed", "Dit bewijs is al gebruikt. Maak voor elk verzoek een nieuw, met een eigen jti.",
		"This proof was used before. Make a new one for each request, with a jti of its own.")
}

// reasonTable has the text of each Param code.
func reasonTable() map[string]broker.Text {
	return map[string]broker.Text{
		"required":        {NL: "Dit ontbreekt of is van een verkeerd type; het is verplicht.", EN: "This is missing or of a wrong type; it is required."},
		"not-a-string":    {NL: "Dit moet tekst zijn.", EN: "This must be a string."},
		"length":          {NL: "Deze tekst is leeg of langer dan 100 tekens.", EN: "This text is empty or longer than 100 characters."},
		"unknown-key":     {NL: "Deze sleutel bestaat niet. Laat hem weg of verbeter de spelling.", EN: "This key does not exist. Leave it out or correct its spelling."},
		"unknown-purpose": {NL: "Dit doel bestaat niet. /v1/catalog noemt alle doelen.", EN: "This purpose does not exist. /v1/catalog lists all purposes."},
		"unknown-field":   {NL: "Dit veld of deze groep bestaat niet. /v1/catalog noemt alle velden.", EN: "This field or group does not exist. /v1/catalog lists all fields."},
		"unknown-value":   {NL: "Gebruik omit of fail.", EN: "Use omit or fail."},
		"companion":       {NL: "Dit gegeven komt vanzelf mee met zijn veld en kan niet worden gevraagd. Laat het weg.", EN: "This comes by itself with its field and can't be asked for. Leave it out."},
		"count":           {NL: "Vraag 1 tot 130 velden.", EN: "Ask for 1 to 130 fields."},
		"bsn-or-case":     {NL: "Noem het huishouden met precies één van bsn en case.", EN: "Name the household with exactly one of bsn and case."},
		"bsn-invalid":     {NL: "Een BSN heeft 9 cijfers en voldoet aan de elfproef. Controleer de cijfers.", EN: "A BSN has 9 digits and satisfies the 11-test. Check the digits."},
		"no-bsn-ground":   {NL: "Uw organisatie heeft geen wettelijke grond om het BSN te gebruiken. Noem het huishouden met case.", EN: "Your agency has no legal ground to use the BSN. Name the household with case."},
		"case-differs":    {NL: "Dit is een ander dossier dan household.case. Laat het weg of maak ze gelijk.", EN: "This is another case than household.case. Leave it out or make them equal."},
		"header-format":   {NL: "Stuur deze header hooguit één keer, met 1 tot 255 zichtbare ASCII-tekens.", EN: "Send this header at most once, with 1 to 255 visible ASCII characters."},
		"invalid":         {NL: "Deze waarde is ongeldig. /v1/openapi.json beschrijft wat kan.", EN: "This value is invalid. /v1/openapi.json describes what is possible."},
	}
}
