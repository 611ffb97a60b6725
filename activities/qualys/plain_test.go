package qualys_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/domain/asset"
)

// What is not of the documented shape is read by other code: both must agree.
func TestMembersAreReadWhateverTheyLookLike(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"documented":                     `{"assetId":7,"assetName":"web","softwareListData":{"software":[{"id":1,"fullName":"A 1","version":"1","installDate":"2025-03-02T09:00:00.000Z","isPackage":true}]}}`,
		"spaces everywhere":              " {\n\t\"assetId\" : 7 ,\r\n \"assetName\" :\t\"web\" , \"softwareListData\" : { \"software\" : [ { \"id\" : 1 , \"fullName\" : \"A 1\" , \"version\" : \"1\" , \"installDate\" : \"2025-03-02T09:00:00.000Z\" , \"isPackage\" : true } ] } } ",
		"another order":                  `{"softwareListData":{"software":[{"isPackage":true,"installDate":"2025-03-02T09:00:00.000Z","version":"1","fullName":"A 1","id":1}]},"assetName":"web","assetId":7}`,
		"a name escaped":                 `{"asset\u0049d":7,"assetN\u0061me":"web","softwareListData":{"softw\u0061re":[{"id":1,"full\u004eame":"A 1","version":"1","installDate":"2025-03-02T09:00:00.000Z","isPackage":true}]}}`,
		"a value escaped":                `{"assetId":7,"assetName":"w\u0065b","softwareListData":{"software":[{"id":1,"fullName":"A\u00201","version":"\u0031","installDate":"2025-03-02T09:00:00.000Z","isPackage":true}]}}`,
		"the last of two counts":         `{"assetId":8,"assetName":"db","assetName":"web","softwareListData":null,"softwareListData":{"software":[{"id":1,"fullName":"A 1","version":"1","installDate":"2025-03-02T09:00:00.000Z","isPackage":true}]},"assetId":7}`,
		"texts for numbers":              `{"assetId":"7","assetName":"web","softwareListData":{"software":[{"id":"1","fullName":"A 1","version":1,"installDate":1740906000000,"isPackage":"true"}]}}`,
		"one in place of a list":         `{"assetId":7,"assetName":"web","softwareListData":{"software":{"id":1,"fullName":"A 1","version":"1","installDate":"2025-03-02T09:00:00.000Z","isPackage":1}}}`,
		"braces and quotes in a value":   `{"x":"}]\\\"{[,:","assetId":7,"y":["{",{"z":"]"}],"assetName":"web","softwareListData":{"software":[{"id":1,"n":{"a":["}"]},"fullName":"A 1","version":"1","installDate":"2025-03-02T09:00:00Z","isPackage":true}]}}`,
		"other members hold a namesake":  `{"x":{"assetId":9,"assetName":"no"},"assetId":7,"assetName":"web","softwareListData":{"software":[{"id":1,"license":null,"x":{"id":5},"fullName":"A 1","version":"1","installDate":"2025-03-02T09:00:00.000Z","isPackage":true}]}}`,
		"nulls in place of what is less": `{"agentId":null,"assetId":7,"assetName":"web","softwareListData":{"software":[{"id":1,"fullName":"A 1","edition":null,"isIgnored":null,"lastUseDate":null,"lifecycle":null,"version":"1","installDate":"2025-03-02T09:00:00.000Z","isPackage":true}]}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			g.search = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, page(0, 1, body))
			}
			p, _, err := g.client(t).Search(context.Background(), qualys.Query{})
			require.NoError(t, err)
			require.Len(t, p.Results, 1)
			require.Nil(t, p.Results[0].Err)
			got := p.Results[0].Asset
			require.Equal(t, "web", got.Name)
			want := []asset.Software{{ID: 1, FullName: "A 1", Version: "1", InstallDate: time.Date(2025, 3, 2, 9, 0, 0, 0, time.UTC), Package: true}}
			require.Empty(t, cmp.Diff(want, got.Software))
			require.Equal(t, []asset.Section{asset.SectionSoftware}, got.Present)
		})
	}
}

func TestAWrongMemberIsNamedAsBefore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"a package without a text":      {`{"assetId":7,"softwareListData":{"software":[{"id":1,"fullName":{}}]}}`, "softwareListData.software"},
		"a package that is a list":      {`{"assetId":7,"softwareListData":{"software":[[]]}}`, "softwareListData.software"},
		"an id beyond 64 bits":          {`{"assetId":7,"softwareListData":{"software":[{"id":9223372036854775808}]}}`, "softwareListData.software"},
		"a list with a key beside it":   {`{"assetId":7,"softwareListData":{"software":[{"id":1}],"more":1}}`, "softwareListData"},
		"two lists":                     {`{"assetId":7,"softwareListData":{"a":[],"b":[]}}`, "softwareListData"},
		"a text in place of the object": {`{"assetId":7,"softwareListData":"x"}`, "softwareListData"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t)
			g.search = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.WriteString(w, page(0, 1, c.body))
			}
			p, _, err := g.client(t).Search(context.Background(), qualys.Query{})
			require.NoError(t, err)
			require.Len(t, p.Results, 1)
			require.NotNil(t, p.Results[0].Err, "%+v", p.Results[0].Asset)
			require.Contains(t, p.Results[0].Err.Error(), c.want)
		})
	}
}
