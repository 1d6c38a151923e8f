// Reads CRLs and OCSP answers as programs in Go do, and prints one JSON object of what they say.
//
//	revocation crl ISSUER.pem LIST.der
//	revocation ocsp ISSUER.pem CERTIFICATE.pem URL sha1|sha256 post|get
//
// A signature that is not the issuer's, or its responder's, is an error: text on standard error, exit code 1.
package main

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"golang.org/x/crypto/ocsp"
)

type object map[string]any

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

func readList(issuerPath, path string) (object, error) {
	issuer, err := readCertificate(issuerPath)
	if err != nil {
		return nil, err
	}
	der, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, err
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return nil, err
	}
	entries := object{}
	for _, entry := range list.RevokedCertificateEntries {
		entries[fmt.Sprintf("%040x", entry.SerialNumber)] = entry.ReasonCode
	}
	return object{"number": list.Number, "entries": entries, "this_update": list.ThisUpdate.Unix(),
		"next_update": list.NextUpdate.Unix()}, nil
}

func send(target, way string, request []byte) (*http.Response, error) {
	if way == "get" {
		return http.Get(target + "/" + url.PathEscape(base64.StdEncoding.EncodeToString(request)))
	}
	return http.Post(target, "application/ocsp-request", bytes.NewReader(request))
}

func askResponder(issuerPath, path, target, hash, way string) (object, error) {
	issuer, err := readCertificate(issuerPath)
	if err != nil {
		return nil, err
	}
	certificate, err := readCertificate(path)
	if err != nil {
		return nil, err
	}
	options := &ocsp.RequestOptions{Hash: map[string]crypto.Hash{"sha1": crypto.SHA1, "sha256": crypto.SHA256}[hash]}
	request, err := ocsp.CreateRequest(certificate, issuer, options)
	if err != nil {
		return nil, err
	}
	answer, err := send(target, way, request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	der, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	response, err := ocsp.ParseResponseForCert(der, certificate, issuer)
	if err != nil {
		return nil, err
	}
	return object{"status": response.Status, "reason": response.RevocationReason, "delegated": response.Certificate != nil,
		"this_update": response.ThisUpdate.Unix(), "next_update": response.NextUpdate.Unix()}, nil
}

func run(words []string) (object, error) {
	switch {
	case len(words) == 3 && words[0] == "crl":
		return readList(words[1], words[2])
	case len(words) == 6 && words[0] == "ocsp":
		return askResponder(words[1], words[2], words[3], words[4], words[5])
	}
	return nil, fmt.Errorf("usage: revocation crl ISSUER LIST | ocsp ISSUER CERTIFICATE URL HASH WAY")
}

func main() {
	found, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(found)
}
