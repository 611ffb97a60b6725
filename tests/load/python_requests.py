"""The script that people write: read pages, map some fields, post to IRE. Reads the simulators' line on stdin."""
import json
import sys

import requests

ends, limit = json.load(sys.stdin), int(sys.argv[1])
q, sn = ends["qualys"], ends["servicenow"]
CLASSES = {"Windows": "cmdb_ci_win_server", "Linux": "cmdb_ci_linux_server", "Unix": "cmdb_ci_unix_server"}
qualys, servicenow = requests.Session(), requests.Session()
token = qualys.post(q["gatewayUrl"] + "/auth", data={"username": q["username"], "password": q["password"], "token": "true"}).text
qualys.headers.update({"Authorization": "Bearer " + token, "Accept": "application/json", "Content-Type": "application/json"})
servicenow.auth = (sn["username"].encode(), sn["password"].encode())


def item(a):
    system, hardware = a.get("operatingSystem") or {}, a.get("hardware") or {}
    server = "Server" in (system.get("category2") or "")
    values = {
        "name": (a.get("assetName") or a.get("dnsName") or a.get("netbiosName") or "").split(".")[0].lower(),
        "serial_number": a.get("biosSerialNumber"), "fqdn": a.get("dnsName"), "ip_address": a.get("address"), "os": system.get("productName"),
        "os_version": system.get("version"), "model_number": hardware.get("model"), "ram": a.get("totalMemory"), "cpu_count": a.get("cpuCount"),
    }
    name = CLASSES.get(system.get("category1"), "cmdb_ci_computer") if server else "cmdb_ci_computer"
    source = {"source_name": sn["discoverySource"], "source_native_key": "corp/%d" % a["assetId"]}
    return {"className": name, "values": {k: str(v) for k, v in values.items() if v}, "sys_object_source_info": source}


assets, posts, cursor, more = 0, 0, 0, True
while more and (not limit or assets < limit):
    page = qualys.post(q["gatewayUrl"] + "/rest/2.0/search/am/asset", params={"pageSize": 300, "lastSeenAssetId": cursor}).json()
    rows = [item(a) for a in page["assetListData"]["asset"] if a.get("assetName") or a.get("dnsName")]
    for at in range(0, len(rows), 75):
        res = servicenow.post(sn["url"] + "/api/now/identifyreconcile/enhanced", params={"sysparm_data_source": sn["discoverySource"]},
                              json={"items": rows[at:at + 75], "relations": []})
        res.raise_for_status()
        posts += len(res.json()["result"]["items"]) and 1
    assets, cursor, more = assets + page["count"], page["lastSeenAssetId"], page["hasMore"]
print(json.dumps({"assets": assets, "posts": posts}))
