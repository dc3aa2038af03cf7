//! A disk that takes everything and keeps nothing.

use quaymeter::log::disk::{Disk, File};
use std::io;
use std::path::Path;

pub struct Void;

impl Disk for Void {
    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn list(&self, _: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
    fn create(&self, _: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(Self))
    }
    fn open(&self, _: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(Self))
    }
    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl File for Void {
    fn size(&self) -> io::Result<u64> {
        Ok(0)
    }
    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
    fn append(&mut self, _: &[&[u8]]) -> io::Result<()> {
        Ok(())
    }
    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
