package sdk;

import policy.Objects.KasPublicKeyAlgEnum;

/** A key's algorithm, how a data key is wrapped for it, and its KEM ciphertext's length. */
public enum KeyType {
    RSA_2048("rsa:2048", "wrapped", 0),
    RSA_4096("rsa:4096", "wrapped", 0),
    SECP256R1("ec:secp256r1", "ec-wrapped", 0),
    SECP384R1("ec:secp384r1", "ec-wrapped", 0),
    SECP521R1("ec:secp521r1", "ec-wrapped", 0);

    public final String algorithm;
    public final String keyAccessType;
    public final int ciphertextBytes;

    KeyType(String algorithm, String keyAccessType, int ciphertextBytes) {
        this.algorithm = algorithm;
        this.keyAccessType = keyAccessType;
        this.ciphertextBytes = ciphertextBytes;
    }

    public static KeyType fromPublicKeyAlgorithm(KasPublicKeyAlgEnum algorithm) {
        switch (algorithm) {
            case KAS_PUBLIC_KEY_ALG_ENUM_RSA_2048:
                return RSA_2048;
            case KAS_PUBLIC_KEY_ALG_ENUM_RSA_4096:
                return RSA_4096;
            case KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP256R1:
                return SECP256R1;
            case KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP384R1:
                return SECP384R1;
            case KAS_PUBLIC_KEY_ALG_ENUM_EC_SECP521R1:
                return SECP521R1;
            default:
                throw new IllegalArgumentException("unknown algorithm: " + algorithm);
        }
    }
}
