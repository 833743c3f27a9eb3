// Its presence lets gnet.go declare functions without a body.
