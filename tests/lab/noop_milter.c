/* A milter that does nothing, with what our own negotiates: what libmilter costs without Python.
 *
 *     gcc -O2 -o noop_milter noop_milter.c -lmilter -lpthread
 *     ./noop_milter SOCKET
 */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <sys/stat.h>

#define STEPS                                                                                      \
    (SMFIP_NOCONNECT | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NODATA |              \
     SMFIP_NOUNKNOWN | SMFIP_NR_HDR | SMFIP_HDR_LEADSPC | SMFIP_NOEOH | SMFIP_NR_BODY)
#define ACTIONS (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_SETSYMLIST)

static sfsistat on_helo(SMFICTX *context, char *name)
{
    (void) context, (void) name;
    return SMFIS_NOREPLY;
}

static sfsistat on_address(SMFICTX *context, char **arguments)
{
    (void) context, (void) arguments;
    return SMFIS_NOREPLY;
}

static sfsistat on_header(SMFICTX *context, char *name, char *value)
{
    (void) context, (void) name, (void) value;
    return SMFIS_NOREPLY;
}

static sfsistat on_body(SMFICTX *context, unsigned char *chunk, size_t length)
{
    (void) context, (void) chunk, (void) length;
    return SMFIS_NOREPLY;
}

static sfsistat on_end(SMFICTX *context)
{
    (void) context;
    return SMFIS_CONTINUE;
}

static sfsistat on_negotiate(SMFICTX *context, unsigned long f0, unsigned long f1,
                             unsigned long f2, unsigned long f3, unsigned long *pf0,
                             unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
    (void) f2, (void) f3;
    if ((f0 & ACTIONS) != ACTIONS || (f1 & STEPS) != STEPS)
        return SMFIS_REJECT;
    smfi_setsymlist(context, SMFIM_ENVFROM,
                    "{client_addr} {client_name} {client_port} {auth_authen} {auth_type}"
                    " {tls_version} {cipher} {cert_subject}");
    smfi_setsymlist(context, SMFIM_EOM, "i");
    *pf0 = ACTIONS;
    *pf1 = STEPS;
    *pf2 = *pf3 = 0;
    return SMFIS_CONTINUE;
}

int main(int count, char **arguments)
{
    struct smfiDesc description = {
        .xxfi_name = "noop",
        .xxfi_version = SMFI_VERSION,
        .xxfi_flags = ACTIONS,
        .xxfi_helo = on_helo,
        .xxfi_envfrom = on_address,
        .xxfi_envrcpt = on_address,
        .xxfi_header = on_header,
        .xxfi_body = on_body,
        .xxfi_eom = on_end,
        .xxfi_negotiate = on_negotiate,
    };
    char endpoint[512];
    if (count != 2)
        return 64;
    snprintf(endpoint, sizeof endpoint, "unix:%s", arguments[1]);
    if (smfi_setconn(endpoint) != MI_SUCCESS || smfi_setbacklog(1024) != MI_SUCCESS ||
        smfi_register(description) != MI_SUCCESS || smfi_opensocket(1) != MI_SUCCESS)
        return 69;
    chmod(arguments[1], 0666);
    return smfi_main() == MI_SUCCESS ? 0 : 70;
}
