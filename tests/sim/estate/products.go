package estate

import "strings"

// product is software of the catalogue, with a rendered record for each of its versions.
type product struct {
	publisher, name, category1, category2 string
	versions                              []string
	packaged                              bool
	fragments                             []fragment
}

// fragment is a software record up to its install date, between the two dates (empty when there is one only), and after
// them.
type fragment struct {
	id              int64
	full            string
	head, mid, tail []byte
}

// Line format: publisher|product|category 1|category 2|versions. Names are those of well-known products; versions are
// examples.
const windowsProducts = `Microsoft|Edge|Network Application|Internet Browser|122.0.2365.66,124.0.2478.51,125.0.2535.67
Google|Chrome|Network Application|Internet Browser|123.0.6312.86,124.0.6367.201,125.0.6422.76
Mozilla|Firefox|Network Application|Internet Browser|115.10.0,124.0.2,126.0
Microsoft|Office 365 ProPlus|Productivity|Office Suite|16.0.17328.20162,16.0.17531.20140
Microsoft|.NET Framework|Software Development|Framework|4.7.2,4.8,4.8.1
Microsoft|.NET Runtime|Software Development|Framework|6.0.28,7.0.18,8.0.5
Microsoft|Visual C++ 2015-2022 Redistributable|Software Development|Runtime|14.32.31332,14.38.33135
Microsoft|Visual C++ 2013 Redistributable|Software Development|Runtime|12.0.30501,12.0.40664
Microsoft|SQL Server 2019|Databases|Relational|15.0.2000.5,15.0.4360.2
Microsoft|SQL Server Management Studio|Databases|Tools|18.12.1,19.3,20.1
Microsoft|Teams|Communication|Collaboration|24060.2623.2790.8046,24091.214.2846.1452
Microsoft|OneDrive|Storage|Cloud Storage|24.060.0325.0001,24.081.0421.0003
Microsoft|Defender Antivirus|Security|Endpoint Management and Security|4.18.24030.9,4.18.24040.4
Microsoft|Monitoring Agent|System Management|Monitoring|10.20.18067.0,10.20.18069.0
Microsoft|PowerShell|System Management|Scripting|5.1.17763.5576,7.4.2
Microsoft|Internet Information Services|Network Application|Web Servers|8.5,10.0
Adobe|Acrobat Reader DC|Productivity|Document Viewer|23.8.20533,24.2.20759
Oracle|Java SE Runtime Environment|Software Development|Runtime|8.0.391,8.0.411,17.0.11
Oracle|VM VirtualBox|Virtualization|Desktop Virtualization|6.1.50,7.0.18
Eclipse|Temurin JDK|Software Development|Runtime|11.0.23,17.0.11,21.0.3
Qualys|Cloud Agent|Security|Endpoint Management and Security|5.5.0.35,6.1.0.28
CrowdStrike|Falcon Sensor|Security|Endpoint Management and Security|7.11.18110,7.14.18410
Splunk|Universal Forwarder|System Management|Log Management|9.0.9,9.2.1
VMware|Tools|Virtualization|Guest Tools|11.3.5.18557794,12.4.0.23259341
Notepad++|Notepad++|Productivity|Text Editor|8.5.8,8.6.5
Igor Pavlov|7-Zip|Utilities|Archiver|22.01,23.01,24.05
WinRAR|WinRAR|Utilities|Archiver|6.24,7.01
PuTTY|PuTTY|Network Application|Terminal|0.78,0.81
WinSCP|WinSCP|Network Application|File Transfer|6.1.2,6.3.3
Wireshark|Wireshark|Network Application|Protocol Analyser|4.0.15,4.2.5
Git|Git|Software Development|Version Control|2.43.0,2.45.1
Python|Python|Software Development|Language|3.9.13,3.11.9,3.12.3
Node.js|Node.js|Software Development|Runtime|18.20.2,20.13.1
Microsoft|Visual Studio Code|Software Development|Editor|1.88.1,1.89.1
Zoom|Workplace|Communication|Collaboration|5.17.11,6.0.10
Cisco|Secure Client|Security|VPN|5.0.05040,5.1.3.62
Cisco|Webex|Communication|Collaboration|44.4.0,44.5.0
Citrix|Workspace App|Virtualization|Remote Access|23.11.1,24.3.0
VideoLAN|VLC media player|Multimedia|Player|3.0.18,3.0.20
Intel|Graphics Driver|Drivers|Graphics|31.0.101.5186,31.0.101.5445
Realtek|Audio Driver|Drivers|Audio|6.0.9549.1,6.0.9652.1
Dell|Command Update|System Management|Update|5.1.0,5.3.0
HP|Support Assistant|System Management|Update|9.30,9.35
Lenovo|Vantage Service|System Management|Update|3.13.72,4.0.52
SAP|GUI for Windows|Business Application|ERP Client|7.70,8.00
KeePass|KeePass|Security|Password Manager|2.55,2.56
TeamViewer|TeamViewer|Network Application|Remote Access|15.51.5,15.53.7
Dropbox|Dropbox|Storage|Cloud Storage|197.4.7571,199.4.6287
Apache|HTTP Server|Network Application|Web Servers|2.4.57,2.4.59
Apache|Tomcat|Network Application|Application Servers|9.0.83,9.0.89,10.1.24
PostgreSQL|PostgreSQL|Databases|Relational|14.11,15.6,16.3
OpenSSL|OpenSSL|Security|Cryptography|1.1.1w,3.0.13,3.3.0
Veeam|Agent for Microsoft Windows|Storage|Backup|6.0.2,6.1.2
Tanium|Client|System Management|Endpoint Management|7.4.10,7.6.1`

const linuxProducts = `Red Hat|kernel|Operating System|Kernel|4.18.0-513.24.1,4.18.0-553.el8,5.14.0-427.13.1
OpenSSL|openssl|Security|Cryptography|1.1.1k-12,3.0.7-27,3.0.2-0ubuntu1.15
GNU|bash|System Tools|Shell|4.4.20-5,5.1.8-9,5.1-6ubuntu1
GNU|glibc|Operating System|Library|2.28-251,2.34-100,2.35-0ubuntu3.7
GNU|coreutils|System Tools|Utilities|8.30-15,8.32-35
GNU|tar|Utilities|Archiver|1.30-9,1.34-6
GNU|gzip|Utilities|Archiver|1.9-13,1.12-1
GNU|grep|System Tools|Utilities|3.1-6,3.6-5
GNU|sed|System Tools|Utilities|4.5-5,4.8-9
GNU|gawk|System Tools|Utilities|4.2.1-4,5.1.0-6
OpenBSD|openssh-server|Network Application|Remote Access|8.0p1-19,8.7p1-38,9.2p1-2
OpenBSD|openssh-clients|Network Application|Remote Access|8.0p1-19,8.7p1-38
systemd|systemd|Operating System|Init|239-78,252-32,249.11-0ubuntu3.12
Python|python3|Software Development|Language|3.6.8-56,3.9.18-3,3.10.12
Perl|perl|Software Development|Language|5.26.3-422,5.32.1-481
curl|curl|Network Application|File Transfer|7.61.1-33,7.76.1-29,7.81.0-1
Apache|HTTP Server|Network Application|Web Servers|2.4.37-62,2.4.57-5,2.4.52-1
nginx|nginx|Network Application|Web Servers|1.14.1-9,1.20.1-14,1.18.0-6
PostgreSQL|postgresql-server|Databases|Relational|12.18-1,13.14-1,14.11-0
MariaDB|mariadb-server|Databases|Relational|10.3.39-1,10.5.22-1
Redis|redis|Databases|Key-Value Store|5.0.3-5,6.2.7-1
Docker|docker-ce|Virtualization|Container Runtime|24.0.9-1,26.1.2-1
containerd|containerd.io|Virtualization|Container Runtime|1.6.31-3,1.6.32-3
Kubernetes|kubelet|Virtualization|Orchestration|1.28.9,1.29.4
Oracle|Java SE Development Kit|Software Development|Runtime|11.0.22,17.0.10
Red Hat|java-11-openjdk|Software Development|Runtime|11.0.22.0.7-2,11.0.23.0.9-3
Qualys|Cloud Agent|Security|Endpoint Management and Security|5.8.0.25,6.3.0.61
Splunk|splunkforwarder|System Management|Log Management|9.0.9,9.2.1
Elastic|filebeat|System Management|Log Management|7.17.20,8.13.4
Prometheus|node_exporter|System Management|Monitoring|1.7.0,1.8.0
Zabbix|zabbix-agent2|System Management|Monitoring|6.0.28,6.4.13
rsyslog|rsyslog|System Management|Log Management|8.2102.0-15,8.2310.0-4
chrony|chrony|System Tools|Time|4.2-1,4.5-1
sudo|sudo|Security|Access Control|1.8.29-10,1.9.5p2-10
vim|vim-enhanced|Productivity|Text Editor|8.0.1763-19,8.2.2637-20
Git|git|Software Development|Version Control|2.39.3-1,2.43.0-1
GNU|wget|Network Application|File Transfer|1.19.5-11,1.21.1-7
GnuPG|gnupg2|Security|Cryptography|2.2.20-3,2.3.3-4
zlib|zlib|Operating System|Library|1.2.11-25,1.2.11-40
libxml2|libxml2|Operating System|Library|2.9.7-18,2.9.13-6
SQLite|sqlite-libs|Databases|Embedded|3.26.0-19,3.34.1-7
expat|expat|Operating System|Library|2.2.5-13,2.5.0-2
NetworkManager|NetworkManager|Operating System|Network|1.40.16-15,1.46.0-4
firewalld|firewalld|Security|Firewall|0.9.11-4,1.3.4-1
Samba|samba-client|Network Application|File Sharing|4.18.6-3,4.19.4-104
ISC|bind-utils|Network Application|DNS|9.11.36-14,9.16.23-18
Net-SNMP|net-snmp|System Management|Monitoring|5.8-30,5.9.1-13
VMware|open-vm-tools|Virtualization|Guest Tools|12.2.5-3,12.3.5-2
Node.js|nodejs|Software Development|Runtime|16.20.2,18.20.2`

const macProducts = `Apple|Safari|Network Application|Internet Browser|17.4.1,17.5
Apple|Xcode|Software Development|IDE|15.2,15.4
Apple|Pages|Productivity|Office Suite|13.2,14.0
Apple|Numbers|Productivity|Office Suite|13.2,14.0
Apple|Keynote|Productivity|Office Suite|13.2,14.0
Apple|iMovie|Multimedia|Video Editing|10.3.10,10.4
Apple|Mail|Communication|Mail Client|16.0
Apple|Terminal|System Tools|Shell|2.14
Apple|Preview|Productivity|Document Viewer|11.0
Apple|QuickTime Player|Multimedia|Player|10.5
Google|Chrome|Network Application|Internet Browser|124.0.6367.208,125.0.6422.76
Mozilla|Firefox|Network Application|Internet Browser|125.0.3,126.0
Microsoft|Word for Mac|Productivity|Office Suite|16.84,16.85
Microsoft|Excel for Mac|Productivity|Office Suite|16.84,16.85
Microsoft|PowerPoint for Mac|Productivity|Office Suite|16.84,16.85
Microsoft|Outlook for Mac|Communication|Mail Client|16.84,16.85
Microsoft|Teams|Communication|Collaboration|24091.214,24124.2315
Microsoft|Visual Studio Code|Software Development|Editor|1.88.1,1.89.1
Zoom|zoom.us|Communication|Collaboration|5.17.11,6.0.10
Slack|Slack|Communication|Collaboration|4.37.101,4.38.121
Docker|Docker Desktop|Virtualization|Container Runtime|4.29.0,4.30.0
JetBrains|IntelliJ IDEA|Software Development|IDE|2023.3.6,2024.1.1
Adobe|Creative Cloud|Multimedia|Graphics|6.1.0,6.2.0
Adobe|Photoshop 2024|Multimedia|Graphics|25.7,25.9
Homebrew|openssl@3|Security|Cryptography|3.2.1,3.3.0
Homebrew|git|Software Development|Version Control|2.44.0,2.45.1
Homebrew|python@3.12|Software Development|Language|3.12.2,3.12.3
Homebrew|node|Software Development|Runtime|21.7.1,22.2.0
Qualys|Cloud Agent|Security|Endpoint Management and Security|5.4.0.17,6.0.0.41
Jamf|Jamf Pro Agent|System Management|Endpoint Management|11.3.2,11.5.1
CrowdStrike|Falcon|Security|Endpoint Management and Security|7.12,7.14
1Password|1Password|Security|Password Manager|8.10.30,8.10.32
Spotify|Spotify|Multimedia|Player|1.2.36,1.2.38
VideoLAN|VLC|Multimedia|Player|3.0.20
Cisco|Secure Client|Security|VPN|5.0.05040,5.1.3.62
Sketch|Sketch|Multimedia|Graphics|99.5,100.2
Figma|Figma|Multimedia|Graphics|116.17,124.0
Oracle|Java SE Runtime Environment|Software Development|Runtime|8.0.411,21.0.3
The Document Foundation|LibreOffice|Productivity|Office Suite|7.6.7,24.2.3
Rectangle|Rectangle|Utilities|Window Manager|0.76,0.79`

const unixProducts = `IBM|bos.rte|Operating System|Base|7.2.5.100,7.2.5.200
IBM|openssh.base.server|Network Application|Remote Access|8.1.102.2106,9.2.112.2400
IBM|Db2|Databases|Relational|11.1.4.7,11.5.9
IBM|WebSphere Application Server|Network Application|Application Servers|8.5.5.24,9.0.5.19
IBM|MQ|Network Application|Messaging|9.2.0.25,9.3.5.1
IBM|Tivoli Storage Manager Client|Storage|Backup|8.1.19,8.1.22
Oracle|Database 19c|Databases|Relational|19.18.0,19.22.0
Oracle|WebLogic Server|Network Application|Application Servers|12.2.1.4,14.1.1.0
Perl|perl|Software Development|Language|5.28.1,5.34.1
Python|python3|Software Development|Language|3.7.10,3.9.18
OpenSSL|openssl|Security|Cryptography|1.0.2zi,1.1.1w,3.0.13
GNU|bash|System Tools|Shell|5.0.18,5.2.15
GNU|gcc|Software Development|Compiler|8.3.0,10.3.0
GNU|tar|Utilities|Archiver|1.34,1.35
curl|curl|Network Application|File Transfer|7.79.1,8.6.0
sudo|sudo|Security|Access Control|1.9.5p2,1.9.15p5
rsync|rsync|Network Application|File Transfer|3.2.3,3.2.7
Apache|HTTP Server|Network Application|Web Servers|2.4.54,2.4.59
Samba|samba|Network Application|File Sharing|4.14.4,4.18.9
Net-SNMP|net-snmp|System Management|Monitoring|5.9.1
Veritas|NetBackup Client|Storage|Backup|9.1.0.1,10.3
BMC|Control-M Agent|System Management|Scheduling|9.0.20.200,9.0.21.100
zlib|zlib|Operating System|Library|1.2.13,1.3.1
libxml2|libxml2|Operating System|Library|2.9.14,2.11.7`

// oddProducts carry what real inventories carry: quotes, emoji, carets, markup, and a name longer than any column.
func oddProducts() string {
	return `Contoso|"Quoted" O'Neil Suite|Unknown|Unknown|1.0
Contoso|🚀 Rocket Launcher ✨|Utilities|Launcher|2.1
Contoso|A^B^ORname=x Compare|Utilities|Compare|3.3
Contoso|<script>alert(1)</script> Toolbar|Network Application|Browser Extension|6.6.6
Contoso|Ünïcode Wörks 日本語版|Productivity|Text Editor|1.2
Contoso|back\slash	tab tool|Utilities|Tools|0.1
Contoso|` + strings.Repeat("Very Long Product Name ", 14) + `|Unknown|Unknown|9`
}

// parseProducts reads the line format above.
func parseProducts(text string, packaged bool) []*product {
	var out []*product
	for line := range strings.SplitSeq(text, "\n") {
		f := strings.Split(line, "|")
		out = append(out, &product{publisher: f[0], name: f[1], category1: f[2], category2: f[3], versions: strings.Split(f[4], ","), packaged: packaged})
	}
	return out
}
