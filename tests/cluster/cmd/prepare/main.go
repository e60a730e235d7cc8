// prepare DIR NPORTS: what up.sh needs before the servers start, made without
// openssl and python3, which a fresh Debian may lack. Into DIR go a CA, a
// serving certificate for 127.0.0.1 signed by it, and the key that signs
// service account tokens. On stdout: NPORTS free ports of 127.0.0.1.
//
// The ports are held open together until all are known, so they differ. They
// are below the kernel's ephemeral range: there, no outgoing connection can
// take one between now and the server's start. Should another server do so,
// up.sh tries again.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	mrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "prepare:", err)
		os.Exit(1)
	}
}

func write(dir, name, kind string, der []byte) {
	check(os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func key(dir, name string) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	der, err := x509.MarshalECPrivateKey(k)
	check(err)
	write(dir, name, "EC PRIVATE KEY", der)
	return k
}

func certificates(dir string) {
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "rounds-test-ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey := key(dir, "ca.key")
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	check(err)
	write(dir, "ca.crt", "CERTIFICATE", der)

	serving := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "kube-apiserver"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"},
		KeyUsage:    x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	servingKey := key(dir, "apiserver.key")
	der, err = x509.CreateCertificate(rand.Reader, serving, ca, servingKey.Public(), caKey)
	check(err)
	write(dir, "apiserver.crt", "CERTIFICATE", der)

	sa := key(dir, "sa.key")
	der, err = x509.MarshalPKIXPublicKey(sa.Public())
	check(err)
	write(dir, "sa.pub", "PUBLIC KEY", der)
}

func main() {
	if len(os.Args) != 3 {
		check(fmt.Errorf("usage: prepare DIR NPORTS"))
	}
	n, err := strconv.Atoi(os.Args[2])
	check(err)
	certificates(os.Args[1])
	for tries := 0; n > 0; tries++ {
		port := 15000 + mrand.IntN(15000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			if tries > 1000 {
				check(err)
			}
			continue
		}
		defer l.Close() // after the last one is printed
		fmt.Println(port)
		n--
	}
}
