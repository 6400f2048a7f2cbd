package sdk

import "fmt"

// KeyAccess is the key access object of a TDF: how its data key was wrapped.
// CiphertextBytes is the length of a KEM ciphertext in front of the wrapped key, else 0.
type KeyAccess struct {
	Type            string
	CiphertextBytes int
}

// keyAccessFor says how a data key is wrapped for a public key of this algorithm.
func keyAccessFor(algorithm string) (KeyAccess, error) {
	switch algorithm {
	case "rsa:2048", "rsa:4096":
		return KeyAccess{Type: "wrapped", CiphertextBytes: 0}, nil
	case "ec:secp256r1", "ec:secp384r1", "ec:secp521r1":
		return KeyAccess{Type: "ec-wrapped", CiphertextBytes: 0}, nil
	}
	return KeyAccess{}, fmt.Errorf("wrap: unknown algorithm %q", algorithm)
}
