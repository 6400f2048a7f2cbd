package kas

import "fmt"

// unwrapKey recovers the data key that an SDK wrapped for us.
func unwrapKey(keyType KeyType, key PrivateKey, wrapped []byte) ([]byte, error) {
	switch keyType {
	case RSA2048, RSA4096:
		return key.DecryptOAEP(wrapped)
	case SECP256R1, SECP384R1, SECP521R1:
		return key.DeriveAndUnwrap(wrapped)
	}
	return nil, fmt.Errorf("rewrap: no way to unwrap for %q", keyType)
}
