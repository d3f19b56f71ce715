//! `verify-audit`

use otp_core::audit::AuditFault;

use super::output::print;
use super::{Failure, with_service};
use crate::config::Config;

pub(super) fn verify(config: &Config) -> Result<(), Failure> {
    with_service(config, false, async |service| {
        let report = service.verify_audit().await?;
        for fault in &report.faults {
            print(&format!("{}\n", words(fault)));
        }
        let (lines, chains) = (report.lines, report.chains);
        match report.faults.len() {
            0 => {
                print(&format!("{lines} lines in {chains} chains stand as they were written.\n"));
                Ok(())
            }
            faults => {
                print(&format!("{faults} faults in {lines} lines.\n"));
                Err(Failure::Told)
            }
        }
    })
}

fn words(fault: &AuditFault) -> String {
    match fault {
        AuditFault::Changed(tenant, line) => format!("{tenant}: {line} is not as it was written"),
        AuditFault::Unchained(tenant, line) => format!("{tenant}: {line} stands in no chain"),
        AuditFault::KeyMissing(tenant, line, kid) => {
            format!("{tenant}: {line} was made under master key {kid}, which the ring does not have")
        }
        AuditFault::Gap(tenant, line) => format!("{tenant}: what stood before {line} is missing"),
        AuditFault::CutOff(tenant, Some(line)) => format!("{tenant}: what stood behind {line} is missing"),
        AuditFault::CutOff(tenant, None) => format!("{tenant}: a whole chain is missing"),
    }
}
