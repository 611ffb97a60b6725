package estate

import "strings"

// render writes the constant JSON of the catalogue once: operating systems, hardware and software records.
func (e *Estate) render() {
	full := e.opts.Profile == Full
	for _, o := range e.osOf {
		o.render()
	}
	for _, h := range e.hwOf {
		h.render()
	}
	for _, list := range e.soft {
		for _, p := range list {
			p.render(full)
		}
	}
	for _, p := range e.odd {
		p.render(full)
	}
}

func (o *OS) render() {
	w := &encoder{b: []byte{'{'}}
	w.text("osName", o.Raw)
	w.text("fullName", o.Full)
	w.text("category", o.Category())
	w.text("category1", o.Category1)
	w.text("category2", o.Category2)
	w.text("productName", o.Product)
	w.text("publisher", o.Publisher)
	w.text("edition", o.Edition)
	w.text("marketVersion", o.Market)
	w.text("version", o.Version)
	w.text("update", o.Update)
	w.text("architecture", o.Architecture)
	w.open("lifecycle")
	w.day("gaDate", o.GA)
	w.day("eolDate", o.EOL)
	w.day("eosDate", o.EOS)
	w.text("stage", o.Stage)
	w.text("lifeCycleConfidence", "Exact")
	w.null("eolSupportStage")
	w.null("eosSupportStage")
	w.number("detectionScore", 30)
	w.end()
	taxonomy(w, o.Category1, o.Category2)
	w.text("productUrl", ",,")
	w.text("productFamily", o.Family)
	w.key("installDate")
	o.head = w.b
	w = &encoder{b: []byte{'n'}}
	w.null("release")
	w.null("cpeId")
	w.null("cpe")
	w.null("cpeType")
	w.end()
	o.tail = w.b[1:]
}

func taxonomy(w *encoder, category1, category2 string) {
	w.open("taxonomy")
	w.null("id")
	w.text("name", category1+" / "+category2)
	w.text("category1", category1)
	w.text("category2", category2)
	w.end()
}

func (h *Hardware) render() {
	w := &encoder{b: []byte{'{'}}
	w.text("fullName", strings.TrimSpace(h.Full()))
	w.text("category", h.Category())
	w.text("category1", h.Category1)
	w.text("category2", h.Category2)
	w.text("manufacturer", h.Manufacturer)
	w.text("productName", h.Product)
	w.text("model", h.Model)
	if h.Stage == "Unknown" {
		w.null("lifecycle")
	} else {
		w.open("lifecycle")
		w.day("introDate", "2017-07-11")
		w.day("gaDate", "2017-07-11")
		w.day("eosDate", "Not Announced")
		w.day("obsoleteDate", "Not Announced")
		w.text("stage", h.Stage)
		w.text("lifeCycleConfidence", "Exact")
		w.end()
	}
	taxonomy(w, h.Category1, h.Category2)
	w.text("productUrl", ",,")
	w.text("productFamily", h.Product)
	w.end()
	h.whole = w.b
}

// textID gives a text an id as the vendor's software ids are: any signed 64-bit number.
func textID(s string) int64 {
	x := uint64(len(s))
	for i := range len(s) {
		x = mix(x ^ uint64(s[i]))
	}
	return int64(x)
}

func (p *product) render(full bool) {
	for _, version := range p.versions {
		p.fragments = append(p.fragments, p.record(version, full))
	}
}

// record renders one version. The lean form has the keys of older releases only.
func (p *product) record(version string, full bool) fragment {
	f := fragment{id: textID(p.publisher + "|" + p.name + "|" + version), full: p.publisher + " " + p.name + " " + version}
	kind := "Application"
	if p.category1 == "Unknown" {
		kind = "Unknown"
	}
	w := &encoder{b: []byte{'{'}}
	w.number("id", f.id)
	w.text("fullName", f.full)
	w.text("softwareType", kind)
	if full {
		w.boolean("isIgnored", false)
		w.null("ignoredReason")
		w.text("category", p.category1+" / "+p.category2)
	}
	w.text("category1", p.category1)
	w.text("category2", p.category2)
	w.text("productName", p.name)
	w.text("publisher", p.publisher)
	w.text("version", version)
	if full {
		p.recordRest(w, version)
	}
	w.key("installDate")
	f.head = w.b
	w = &encoder{b: []byte{'n'}}
	if full {
		w.key("lastUpdated")
		f.mid = w.b[1:]
		w = &encoder{b: []byte{'n'}}
		w.null("lastUseDate")
		w.null("language")
		w.null("formerlyKnownAs")
		w.boolean("isPackage", p.packaged)
	}
	w.end()
	f.tail = w.b[1:]
	return f
}

// recordRest adds the members of the full profile.
func (p *product) recordRest(w *encoder, version string) {
	w.text("component", "Client")
	w.null("edition")
	w.text("marketVersion", version)
	w.null("update")
	w.text("architecture", "64-Bit")
	w.text("installPath", "C:\\Program Files\\"+p.publisher+"\\"+p.name)
	w.boolean("isPackageComponent", false)
	w.null("packageName")
	w.text("productUrl", "https://www.vendor.example/products,,")
	w.open("lifecycle")
	w.day("gaDate", "2023-04-06")
	w.day("eolDate", "Not Announced")
	w.day("eosDate", "Not Announced")
	w.text("stage", "GA")
	w.text("lifeCycleConfidence", "Exact")
	w.null("eolSupportStage")
	w.null("eosSupportStage")
	w.null("detectionScore")
	w.end()
	w.text("supportStageDesc", "Generally Available")
	w.open("license")
	w.text("category", "Commercial")
	w.text("subcategory", "Named User")
	w.end()
	w.text("authorization", "Authorized")
	w.null("authorizationDetectionScore")
	w.text("discoveredPublisher", p.publisher)
	w.text("discoveredName", p.name)
	w.text("discoveredVersion", version)
	w.null("discoverySources")
	w.null("cpeId")
	w.null("cpe")
	w.null("cpeType")
	w.null("softwareInstances")
}
