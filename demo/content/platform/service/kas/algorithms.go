package kas

import (
	"fmt"

	"demo/platform/gen/go/objects"
)

// KeyType is an algorithm's name in policies, in settings and on the command line.
type KeyType string

const (
	RSA2048   KeyType = "rsa:2048"
	RSA4096   KeyType = "rsa:4096"
	SECP256R1 KeyType = "ec:secp256r1"
	SECP384R1 KeyType = "ec:secp384r1"
	SECP521R1 KeyType = "ec:secp521r1"
)

// convertAlgEnum2Simple names the algorithm of a registered key.
func convertAlgEnum2Simple(alg objects.KasPublicKeyAlgEnum) (KeyType, error) {
	switch alg {
	case objects.KAS_PUBLIC_KEY_ALG_ENUM_RSA_2048:
		return RSA2048, nil
	case objects.KAS_PUBLIC_KEY_ALG_ENUM_RSA_4096:
		return RSA4096, nil
	case objects.KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP256R1:
		return SECP256R1, nil
	case objects.KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP384R1:
		return SECP384R1, nil
	case objects.KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP521R1:
		return SECP521R1, nil
	}
	return "", fmt.Errorf("unknown key algorithm %d", alg)
}
