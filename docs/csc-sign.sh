#!/bin/sh
# Sign one record: WINDOW is the window's address, CLIENT the system's id, HOLDER the doctor's account, RECORD the file.
set -eu
ask() { curl -fsS --cacert "$CA" --cert "$CERT" --key "$KEY" "$@"; }
csc() { ask -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -d "$2" "$WINDOW/csc/v2/$1"; }
HASH=$(openssl dgst -sha256 -binary "$RECORD" | base64)
TOKEN=$(ask -d "grant_type=client_credentials&client_id=$CLIENT" "$WINDOW/oauth2/token" | jq -r .access_token)
ID=$(csc credentials/list "{\"userID\":\"$HOLDER\",\"onlyValid\":true}" | jq -r '.credentialIDs[0]')
HANDLE=$(csc credentials/authorize "{\"credentialID\":\"$ID\",\"numSignatures\":1,\"hashes\":[\"$HASH\"],\"hashAlgorithmOID\":\"2.16.840.1.101.3.4.2.1\",\"description\":\"${TITLE:-Record}\"}" | jq -r .handle)
until SAD=$(csc credentials/authorizeCheck "{\"handle\":\"$HANDLE\"}" | jq -er .SAD); do sleep 2; done # the doctor releases it on the phone
csc signatures/signHash "{\"credentialID\":\"$ID\",\"SAD\":\"$SAD\",\"hashes\":[\"$HASH\"],\"signAlgo\":\"1.2.840.10045.4.3.2\"}" | jq -r '.signatures[0]' | base64 -d
