package servicenow

// The wire types of IRE answers, as far as they are used.

type wireAnswer struct {
	Result *wireResult `json:"result"`
}

type wireResult struct {
	Items     []wireItem     `json:"items"`
	Relations []wireRelation `json:"relations"`
}

type wireMessage struct {
	Error   string `json:"error"`
	Message string `json:"message"`
	Code    string `json:"code"` // of info entries
}

type wireAttempt struct {
	Identifier string   `json:"identifierName"`
	Result     string   `json:"attemptResult"`
	Attributes []string `json:"attributes"`
	Table      string   `json:"searchOnTable"`
	Info       string   `json:"info"`
}

type wireItem struct {
	ClassName       string        `json:"className"`
	Operation       string        `json:"operation"`
	SysID           string        `json:"sysId"`
	IdentifierEntry string        `json:"identifierEntrySysId"`
	Attempts        []wireAttempt `json:"identificationAttempts"`
	Errors          []wireMessage `json:"errors"`
	Warnings        []wireMessage `json:"warnings"`
	Info            []wireMessage `json:"info"`
	Masked          []string      `json:"maskedAttributes"`
	Indices         []int         `json:"inputIndices"`
	Related         []struct {
		Operation string        `json:"operation"`
		Errors    []wireMessage `json:"errors"`
	} `json:"relatedItems"`
}

type wireRelation struct {
	Operation string        `json:"operation"`
	Errors    []wireMessage `json:"errors"`
	Warnings  []wireMessage `json:"warnings"`
	Indices   []int         `json:"inputIndices"`
}
