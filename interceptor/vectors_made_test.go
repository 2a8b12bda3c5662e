package interceptor_test

// See vectors.
const (
	vectorHex      = "22ca696c37baf491ed6fdc67b730b77211823d776697bbc9c9659ba416121b8b"
	vectorSHA1     = "050ec655e44826525926fdc9c5f1f4eb836f0fa8"
	vectorSHA512   = "d7d8f39929636efbd00bbd551c30457a875921adfeea485c4c195042ba846feb48270abfe7cc5ed89bcca4c8e72116272c48fbfb696d0e0dfc89b6e8a88c935f"
	vectorBase64   = "IsppbDe69JHtb9xntzC3chGCPXdml7vJyWWbpBYSG4s="
	vectorStandard = "iZ/ncqEQw4KJjimLfd2KIHp/lkzQbMQJe3mHFZtPkE4="
)
