package estate

// provider is the value of the member of that name; only the first two spellings are confirmed by public samples.
func (a *Asset) provider() string {
	if a.Cloud == nil {
		return ""
	}
	return a.Cloud.Provider
}

// writeCloud writes one key per provider; the others are null.
func (a *Asset) writeCloud(w *encoder) {
	if a.Cloud == nil {
		w.null("cloudProvider")
		return
	}
	w.open("cloudProvider")
	switch a.Kind {
	case AWS:
		a.writeAWS(w)
		w.null("azure")
		w.null("gcp")
	case Azure:
		w.null("aws")
		a.writeAzure(w)
		w.null("gcp")
	default:
		w.null("aws")
		w.null("azure")
		a.writeGCP(w)
	}
	w.end()
}

func (a *Asset) writeAWS(w *encoder) {
	c := a.Cloud
	names := map[string]string{"eu-central-1": "EU (Frankfurt)", "us-east-1": "US East (N. Virginia)", "ap-south-1": "Asia Pacific (Mumbai)"}
	w.open("aws")
	w.open("ec2")
	w.text("accountId", c.Account)
	w.text("availabilityZone", c.Zone)
	w.boolean("hasAgent", a.AgentID != "")
	w.text("hostname", a.DNSName)
	w.text("imageId", c.Image)
	w.text("instanceId", c.Instance)
	w.text("instanceState", c.State)
	w.text("instanceType", c.Type)
	w.boolean("qualysScanner", false)
	w.null("kernelId")
	w.number("launchdate", a.Created)
	w.text("privateDNS", "ip-"+a.Host+"."+c.Region+".compute.internal")
	w.text("privateIpAddress", a.Address.String())
	w.null("publicDNS")
	w.text("publicIpAddress", c.PublicIP)
	w.open("region")
	w.text("code", c.Region)
	w.text("name", names[c.Region])
	w.end()
	w.boolean("spotInstance", a.dice.percent(120, 10))
	w.text("subnetId", c.Subnet)
	w.text("vpcId", c.Network)
	w.end()
	a.cloudTags(w, "key")
	w.end()
}

func (a *Asset) writeAzure(w *encoder) {
	c := a.Cloud
	w.open("azure")
	w.open("vm")
	w.text("imageOffer", c.Image)
	w.text("imagePublisher", a.OS.Publisher)
	w.text("imageVersion", "latest")
	w.text("location", c.Region)
	w.text("macAddress", a.NICs[0].MAC)
	w.text("name", a.Host)
	w.text("platform", a.OS.Category1)
	w.text("privateIpAddress", a.Address.String())
	w.text("publicIpAddress", c.PublicIP)
	w.text("resourceGroupName", "rg-"+a.arch.prefix+"-"+c.Region)
	w.text("size", c.Type)
	w.text("state", c.State)
	w.text("subnet", c.Subnet)
	w.text("subscriptionId", c.Account)
	w.text("virtualNetwork", c.Network)
	w.text("vmId", c.Instance)
	w.end()
	// Azure's tags say name where the others say key.
	a.cloudTags(w, "name")
	w.end()
}

func (a *Asset) writeGCP(w *encoder) {
	c := a.Cloud
	w.open("gcp")
	w.open("compute")
	w.text("hostname", a.DNSName)
	w.text("imageId", c.Image)
	w.text("instanceId", c.Instance)
	w.text("macAddress", a.NICs[0].MAC)
	w.text("machineType", c.Type)
	w.text("network", c.Network)
	w.text("privateIpAddress", a.Address.String())
	w.text("projectId", c.Account)
	w.text("projectNumber", "10"+c.Account[len(c.Account)-3:]+"99887766")
	w.text("publicIpAddress", c.PublicIP)
	w.text("state", c.State)
	w.text("zone", c.Zone)
	w.end()
	a.cloudTags(w, "key")
	w.end()
}

func (a *Asset) cloudTags(w *encoder, key string) {
	w.key("tags")
	w.b = append(w.b, '[')
	for _, pair := range a.CloudTags() {
		w.item()
		w.text(key, pair[0])
		w.text("value", pair[1])
		w.end()
	}
	w.b = append(w.b, ']')
}

// CloudTags are the names and values of the tags that a cloud provider keeps of an instance.
func (a *Asset) CloudTags() [][2]string {
	return [][2]string{{"Name", a.Host}, {"env", TagName(a.environmentTag())}, {"owner", "O'Brien & <Co>"}}
}
